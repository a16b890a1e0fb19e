package patchcost

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// maxCost is how many bytes of the object all operations on lists may pass together, about a second.
	maxCost = 512 << 20
	// cheap is so few operations that no object is too large.
	cheap = 100
	// maxOperations is how many operations the stock handlers take.
	maxOperations = 10_000
)

type contextKey struct{}

// patch is the JSON patch of a request.
type patch struct {
	io.ReadCloser // the body
	sent          bytes.Buffer

	count func() int // of the operations on lists
}

// Remember returns req such that [Check] knows its body, if that is a JSON patch.
func Remember(req *http.Request) *http.Request {
	contentType, _, _ := strings.Cut(req.Header.Get("Content-Type"), ";")
	if types.PatchType(contentType) != types.JSONPatchType || req.Body == nil {
		return req
	}
	p := &patch{ReadCloser: req.Body}
	p.count = sync.OnceValue(func() int { return listOperations(p.sent.Bytes()) })
	req = req.WithContext(context.WithValue(req.Context(), contextKey{}, p))
	req.Body = p
	return req
}

// Read implements io.Reader.
func (p *patch) Read(to []byte) (int, error) {
	n, err := p.ReadCloser.Read(to)
	p.sent.Write(to[:n])
	return n, err
}

// Check returns an API status if it would take too long to apply the patch of ctx to obj. The body was read before.
func Check(ctx context.Context, obj runtime.Object) error {
	p, ok := ctx.Value(contextKey{}).(*patch)
	if !ok || p.count() <= cheap {
		return nil
	}
	stored, err := json.Marshal(obj)
	if err != nil {
		return fmt.Errorf("measuring an object: %w", err)
	}
	size := len(stored) + p.sent.Len()
	if p.count() <= maxCost/size {
		return nil
	}
	return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf(
		"the patch takes too long to apply: it inserts or removes items of lists %d times, and an object of %d bytes allows for %d times; replace the list, or append to it",
		p.count(), size, maxCost/size))
}

// listOperations returns how many operations of a patch insert or remove an item of a list, or could.
func listOperations(data []byte) int {
	operations, err := jsonpatch.DecodePatch(data)
	if err != nil || len(operations) > maxOperations {
		return 0 // refused by the stock handlers
	}
	n := 0
	for _, operation := range operations {
		path, _ := operation.Path()
		from, _ := operation.From()
		switch operation.Kind() {
		case "add", "remove", "copy":
			n += item(path)
		case "move":
			n += item(path) + item(from)
		}
	}
	return n
}

// item returns 1 if path may be that of an item of a list, except its end.
func item(path string) int {
	last := path[strings.LastIndexByte(path, '/')+1:]
	if strings.Trim(last, "+-0123456789") != "" || last == "" || last == "-" {
		return 0
	}
	return 1
}
