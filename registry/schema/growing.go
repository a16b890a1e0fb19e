package schema

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/registry/writecost"
	"github.com/annex-dev/annex/schemas/cost"
)

// guarded is the handler of a definition, behind checks of what it would make of the body of a request while it decodes.
type guarded struct {
	http.Handler
	growth   growth
	maxBytes int64 // of a body; 0 for no limit
	sets     bool  // lists may be sets or maps
	// ready returns why Handler cannot serve the definition.
	ready func() error
	// resting answers while a webhook does not; nil if no webhook of a provider converts objects.
	resting *resting
	// letGo returns the handler for a second try.
	letGo func() (http.Handler, error)
}

// ServeHTTP implements http.Handler.
func (g *guarded) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if err := g.ready(); err != nil {
		unusable(w, req, err)
		return
	}
	g.resting.serve(w, req, func(w http.ResponseWriter) { g.serve(w, req) })
}

// serve checks the body of a request, and serves it.
func (g *guarded) serve(w http.ResponseWriter, req *http.Request) {
	info, ok := genericapirequest.RequestInfoFrom(req.Context())
	if !ok || info.Subresource == "scale" { // a Scale has a schema of its own
		g.Handler.ServeHTTP(w, req)
		return
	}
	if !g.sets {
		writecost.WithoutSets(req.Context())
	}
	contentType, _, _ := strings.Cut(req.Header.Get("Content-Type"), ";")
	checked := &body{ReadCloser: req.Body, maxBytes: g.maxBytes, check: func(data []byte) error { return checkPaths(data, contentType) }}
	ctx := req.Context()
	switch info.Verb {
	case "get", "list", "watch":
		g.Handler.ServeHTTP(w, req)
		return
	case "delete", "deletecollection":
		checked.check = func([]byte) error { return nil }
	case "patch":
		ctx = context.WithValue(ctx, patchKey{}, &patch{of: types.PatchType(contentType), body: checked})
	default:
		checked.check = func(data []byte) error {
			if err := checkPaths(data, contentType); err != nil {
				return err
			}
			return g.growth.checkBody(data, contentType)
		}
	}
	req = req.WithContext(ctx)
	req.Body = checked
	if changes(info) {
		serveTwice(w, req, checked, g.Handler, g.letGo)
		return
	}
	g.Handler.ServeHTTP(w, req)
}

// hasSets reports whether lists of a definition may be sets or maps.
func hasSets(definition *apiextensionsv1.CustomResourceDefinition) bool {
	var in func(s *apiextensionsv1.JSONSchemaProps) bool
	in = func(s *apiextensionsv1.JSONSchemaProps) bool {
		if s.XEmbeddedResource || s.XListType != nil && *s.XListType != "atomic" {
			return true
		}
		for _, property := range s.Properties {
			if in(&property) {
				return true
			}
		}
		return s.Items != nil && s.Items.Schema != nil && in(s.Items.Schema) ||
			s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil && in(s.AdditionalProperties.Schema)
	}
	return slices.ContainsFunc(definition.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
		return v.Schema != nil && v.Schema.OpenAPIV3Schema != nil && in(v.Schema.OpenAPIV3Schema)
	})
}

// body is the body of a request, which is read as a whole when the first byte is wanted. What check says of it is the error of that read.
type body struct {
	io.ReadCloser
	maxBytes int64 // 0 for no limit; the stock handler answers what is larger
	check    func([]byte) error

	data []byte
	left io.Reader // nil before it is read
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.left == nil {
		from := io.Reader(b.ReadCloser)
		if b.maxBytes > 0 {
			from = io.LimitReader(from, b.maxBytes+1)
		}
		data, err := io.ReadAll(from)
		if err != nil {
			return 0, err
		}
		if b.maxBytes == 0 || int64(len(data)) <= b.maxBytes {
			if err := b.check(data); err != nil {
				return 0, err
			}
		}
		b.data, b.left = data, bytes.NewReader(data)
	}
	return b.left.Read(p)
}

// growth says what defaults add to the objects of a definition.
type growth struct{ cost.Growth }

// checkBody returns an error if defaults add too much to the object that data is.
func (g growth) checkBody(data []byte, contentType string) error {
	if g.Growth == nil || json.Valid(data) && g.Few(cost.MostObjects(data)) {
		return nil
	}
	obj, err := parse(data, contentType)
	if err != nil {
		return unlessUnreadable(data, contentType, err)
	}
	return tooLarge(g.Check(obj))
}

// tooLarge returns the error for a request; nil if ok.
func tooLarge(where string, ok bool) error {
	if ok {
		return nil
	}
	return apierrors.NewRequestEntityTooLargeError(cost.TooMuch(where))
}

// parse reads the object that data is, as the stock handler does.
func parse(data []byte, contentType string) (map[string]any, error) {
	obj := map[string]any{}
	unmarshal := utiljson.Unmarshal
	if strings.Contains(contentType, "yaml") {
		unmarshal = func(data []byte, into any) error { return yaml.Unmarshal(data, into) }
	}
	if err := unmarshal(data, &obj); err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("decoding the object: %v", err))
	}
	return obj, nil
}

// unlessUnreadable returns nil if data is no JSON, or YAML that cannot be converted to JSON, as contentType says: what parse cannot read of
// that, the stock handler cannot read either, and says so in the words that clients know. What else is no object has several readers.
func unlessUnreadable(data []byte, contentType string, err error) error {
	if contentType == "" || strings.HasSuffix(contentType, "json") {
		return nil
	}
	if _, convertErr := yaml.YAMLToJSON(data); convertErr != nil && strings.HasSuffix(contentType, "yaml") {
		return nil
	}
	return err
}

// maxOperations is how many operations of a JSON patch the stock handler takes.
const maxOperations = 10_000

type patchKey struct{}

// patch is the patch of a request.
type patch struct {
	of   types.PatchType
	body *body
}

// checkPatch returns an error if defaults would add too much to what the patch of ctx makes of the object called current.
func (g growth) checkPatch(ctx context.Context, current runtime.Object) error {
	p, ok := ctx.Value(patchKey{}).(*patch)
	obj, isObject := current.(*unstructured.Unstructured)
	if !ok || !isObject {
		return nil
	}
	exists := obj.GetUID() != ""
	switch {
	case p.of == types.ApplyYAMLPatchType:
		return g.checkApply(obj, exists, p)
	case exists:
		return g.checkPatched(obj, p)
	}
	return nil // only server-side apply creates anything
}

// checkApply is for server-side apply. What it makes has no object that is neither in obj nor applied, and at the same path. But it may take
// from obj everything that was applied before.
func (g growth) checkApply(obj *unstructured.Unstructured, exists bool, p *patch) error {
	if json.Valid(p.body.data) && g.Few(cost.MostObjects(p.body.data)+cost.Objects(obj.Object)) {
		return nil
	}
	applied, err := parse(p.body.data, string(p.of))
	if err != nil {
		return err
	}
	if !exists {
		return tooLarge(g.Check(applied))
	}
	return tooLarge(g.CheckBare(obj.Object, applied, obj.Object))
}

// checkPatched is for the other patches. It applies the patch as the stock handler will, unless it is clear without that. What cannot be
// applied is left to the stock handler.
func (g growth) checkPatched(obj *unstructured.Unstructured, p *patch) error {
	// A JSON patch that copies can make any number of objects. A backslash can hide the word.
	copies := p.of == types.JSONPatchType && (bytes.Contains(p.body.data, []byte("copy")) || bytes.Contains(p.body.data, []byte(`\`)))
	if !copies && g.Few(cost.Objects(obj.Object)+cost.MostObjects(p.body.data)) {
		return nil
	}
	current, err := json.Marshal(obj.Object)
	if err != nil {
		return err
	}
	var patched []byte
	if p.of == types.JSONPatchType {
		operations, decodeErr := jsonpatch.DecodePatch(p.body.data)
		if decodeErr != nil || len(operations) > maxOperations {
			return nil //nolint:nilerr // see above
		}
		patched, err = operations.Apply(current)
	} else {
		patched, err = jsonpatch.MergePatch(current, p.body.data)
	}
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	return g.checkBody(patched, runtime.ContentTypeJSON)
}
