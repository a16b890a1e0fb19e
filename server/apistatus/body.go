package apistatus

import (
	"errors"
	"io"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// WithBody answers requests with 400 whose body cannot be read, such as one in chunks of no length. The stock handlers answer with the
// error of reading as it is, and take one that is no API status for a fault of the server: 500.
func WithBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &body{r.Body}
		}
		next.ServeHTTP(w, r)
	})
}

type body struct{ io.ReadCloser }

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = apierrors.NewBadRequest("reading the body of the request: " + err.Error())
	}
	return n, err
}
