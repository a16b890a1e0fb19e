package writecost

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/yaml"
)

const (
	// maxBody is the size of a body that is measured. Stock handlers take no larger one.
	maxBody = 3 << 20
	// smallBody is the size of a body, not in YAML, whose fields and managers take no time, whatever the object is.
	smallBody = 4 << 10
)

type contextKey struct{}

// write is the body of a request that writes, which is read as a whole when the first byte is wanted. What is wrong with it is the error of
// that read.
type write struct {
	io.ReadCloser
	info      *genericapirequest.RequestInfo
	mediaType string
	codecs    runtime.NegotiatedSerializer
	left      io.Reader // nil before the body is read

	lists bool // lists may be sets

	size       int
	operations int // of a JSON patch on lists
	measured   measure
	managers   managers
}

// Remember returns req such that its body is measured, and [Check] knows what was measured. Codecs decode what is not JSON. The context of
// req has a RequestInfo.
func Remember(req *http.Request, codecs runtime.NegotiatedSerializer) *http.Request {
	info, ok := genericapirequest.RequestInfoFrom(req.Context())
	if !ok || req.Body == nil {
		return req
	}
	mediaType, _, _ := strings.Cut(req.Header.Get("Content-Type"), ";")
	w := &write{ReadCloser: req.Body, info: info, mediaType: strings.TrimSpace(mediaType), codecs: codecs, lists: true}
	req = req.WithContext(context.WithValue(req.Context(), contextKey{}, w))
	req.Body = w
	return req
}

// WithoutSets says that no list outside of the metadata is a set or a map for the handler of the request of ctx, whose body was not read yet.
func WithoutSets(ctx context.Context) {
	if w, ok := ctx.Value(contextKey{}).(*write); ok {
		w.lists = false
	}
}

// Read implements io.Reader.
func (w *write) Read(to []byte) (int, error) {
	if w.left == nil {
		data, err := io.ReadAll(io.LimitReader(w.ReadCloser, maxBody+1))
		if err != nil {
			return 0, err
		}
		w.left = bytes.NewReader(data)
		if len(data) > maxBody {
			w.left = io.MultiReader(w.left, w.ReadCloser) // the stock handler refuses it
		} else if err := w.measure(data); err != nil {
			return 0, err
		}
	}
	return w.left.Read(to)
}

func (w *write) patches(of types.PatchType) bool {
	return w.info.Verb == "patch" && types.PatchType(w.mediaType) == of
}

// measure takes note of what is in the body, and returns an API status if that alone is too much.
func (w *write) measure(data []byte) error {
	w.size = len(data)
	if w.patches(types.JSONPatchType) {
		return w.measurePatch(data)
	}
	valid := json.Valid(data)
	if valid && len(data) <= smallBody {
		w.measured = measure{members: len(data) / 2} // at most
		w.managers = managersOf(data)
		return nil
	}
	if !valid && len(data) <= smallBody && !w.yaml() { // in protobuf
		w.measured, w.managers = measure{members: len(data) / 2}, managers{"": bytes.Count(data, []byte("FieldsV1"))}
		return nil
	}
	if !valid {
		var err error
		if data, err = w.toJSON(data); err != nil {
			return err
		}
	}
	w.measured, w.managers = measureJSON(data, w.lists), managersOf(data)
	if err := w.managers.check(w); err != nil {
		return err
	}
	return w.measured.check(w)
}

func (w *write) yaml() bool {
	return w.mediaType == runtime.ContentTypeYAML || w.patches(types.ApplyYAMLPatchType)
}

// toJSON returns the object that data is. What cannot be decoded is left to the stock handler.
func (w *write) toJSON(data []byte) ([]byte, error) {
	if w.yaml() {
		if converted, err := yaml.YAMLToJSON(data); err == nil {
			return converted, nil
		}
		return []byte("null"), nil
	}
	info, ok := runtime.SerializerInfoForMediaType(w.codecs.SupportedMediaTypes(), w.mediaType)
	if !ok || info.EncodesAsText {
		return []byte("null"), nil
	}
	obj, _, err := info.Serializer.Decode(data, nil, nil)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("decoding the object: %v", err))
	}
	return json.Marshal(obj)
}

// Check returns an API status if it would take too long to change obj, which is stored, as the request of ctx says. The body was read before.
func Check(ctx context.Context, obj runtime.Object) error {
	w, ok := ctx.Value(contextKey{}).(*write)
	if !ok || w.left == nil {
		return nil
	}
	if err := w.checkOperations(obj); err != nil {
		return err
	}
	return w.checkFields(obj)
}
