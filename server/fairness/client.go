package fairness

import (
	"io"
	"net/http"
)

// body is what a client sends. The stock handlers read it to its end before they work on it.
type body struct {
	io.ReadCloser
	turn *turn
	err  error // of the end, once it was reached
}

// Read implements io.Reader. The end of the body is reported only while the request has seats.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	b.turn.wait()
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		b.turn.pause()
		return n, nil
	}
	if b.err = b.turn.resume(); b.err == nil {
		b.err = err
	}
	return n, b.err
}

// response is what a client receives.
type response struct {
	http.ResponseWriter
	turn *turn
}

// Unwrap implements responsewriter.UserProvidedDecorator.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Write implements io.Writer. It returns only while the request has seats, because the next part of a long list may have to be encoded.
func (r *response) Write(p []byte) (int, error) {
	r.turn.wait()
	n, err := r.ResponseWriter.Write(p)
	if err != nil {
		r.turn.pause()
		return n, err
	}
	return n, r.turn.resume()
}
