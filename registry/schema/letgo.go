package schema

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/admission"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/endpoints/responsewriter"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/schemas/cost"
)

// A schema that has changed can make a stored object too costly to read or to validate. It must still be possible to delete the object, to
// remove its finalizers, and, if it can be read, to change its metadata, about which schemas say nothing. A request that does no more than
// that gets a second try, by a handler that knows no schema.

type tryKey struct{}

// try is the first try of a request to delete objects, or to change one.
type try struct {
	costly bool  // the object is too costly
	err    error // the answer, unless the second try succeeds

	// metadata is what the request makes of the metadata of the object as it was at version, if it changes nothing else; nil otherwise. Who
	// manages which fields is in it: without the schema, that would be lost for lists.
	metadata map[string]any
	version  string
}

// tooCostly takes note that err, which may be the answer to the request of ctx, is because of the costs of the object.
func tooCostly(ctx context.Context, err error) *try {
	t, ok := ctx.Value(tryKey{}).(*try)
	if !ok {
		return &try{}
	}
	t.costly, t.err, t.metadata = true, err, nil
	return t
}

// firstAnswer is the answer to a first try. There is none if there is a second one.
type firstAnswer struct {
	http.ResponseWriter
	try *try
}

// Unwrap implements responsewriter.UserProvidedDecorator.
func (a *firstAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *firstAnswer) WriteHeader(code int) {
	if !a.try.costly {
		a.ResponseWriter.WriteHeader(code)
	}
}

// Write implements http.ResponseWriter.
func (a *firstAnswer) Write(p []byte) (int, error) {
	if a.try.costly {
		return len(p), nil
	}
	return a.ResponseWriter.Write(p)
}

// serveTwice serves a request by first, and if the object is too costly for that, by what second returns.
func serveTwice(w http.ResponseWriter, req *http.Request, sent *body, first http.Handler, second func() (http.Handler, error)) {
	t := &try{}
	ctx := context.WithValue(req.Context(), tryKey{}, t)
	first.ServeHTTP(responsewriter.WrapForHTTP1Or2(&firstAnswer{w, t}), req.WithContext(ctx))
	if !t.costly {
		return
	}
	handler, err := second()
	if err != nil {
		unusable(w, req, err)
		return
	}
	again := *t
	again.costly = false
	req = req.WithContext(context.WithValue(req.Context(), tryKey{}, &again))
	req.Body = io.NopCloser(bytes.NewReader(sent.data))
	handler.ServeHTTP(w, req)
}

// changes reports whether a request deletes objects, or changes one.
func changes(info *genericapirequest.RequestInfo) bool {
	return info.Subresource == "" && slices.Contains([]string{"delete", "deletecollection", "update", "patch"}, info.Verb)
}

// withoutSchema returns the definition of the same resource that takes everything as it is.
func withoutSchema(definition *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinition {
	plain := *definition
	plain.Spec.Versions = slices.Clone(definition.Spec.Versions)
	for i := range plain.Spec.Versions {
		v := &plain.Spec.Versions[i]
		v.Schema = &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
			Type: "object", XPreserveUnknownFields: ptr.To(true),
		}}
		v.SelectableFields = nil
		if v.Subresources != nil {
			v.Subresources = &apiextensionsv1.CustomResourceSubresources{Status: v.Subresources.Status}
		}
	}
	return &plain
}

// letGo is the admission of the second try. All that it lets through is that finalizers are removed, or what the first try has found to
// change nothing but metadata.
type letGo struct{ stamping }

var _ admission.MutationInterface = letGo{}

// Admit implements admission.MutationInterface.
func (l letGo) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if err := l.stamping.Admit(ctx, a, o); err != nil || a.GetOperation() == admission.Delete {
		return err
	}
	t, ok := ctx.Value(tryKey{}).(*try)
	if !ok {
		return apierrors.NewInternalError(errors.New("the request is no second try"))
	}
	obj, isObject := a.GetObject().(*unstructured.Unstructured)
	old, wasObject := a.GetOldObject().(*unstructured.Unstructured)
	if !isObject || !wasObject || old.GetUID() == "" || a.GetOperation() != admission.Update {
		return t.err
	}
	result, version := old.DeepCopy(), obj.GetResourceVersion()
	switch {
	case t.metadata == nil && onlyRemovesFinalizers(obj, old):
		result.SetFinalizers(obj.GetFinalizers())
	case t.metadata == nil:
		return t.err
	case old.GetResourceVersion() != t.version:
		return apierrors.NewConflict(a.GetResource().GroupResource(), a.GetName(), errors.New("it has changed meanwhile"))
	default:
		result.Object["metadata"] = t.metadata
	}
	obj.Object = result.Object
	obj.SetResourceVersion(version)
	return nil
}

// onlyChangesMetadata reports whether obj is old apart from its metadata.
func onlyChangesMetadata(obj, old *unstructured.Unstructured) bool {
	if len(obj.Object) != len(old.Object) {
		return false
	}
	for key, value := range obj.Object {
		if key != "metadata" && !reflect.DeepEqual(value, old.Object[key]) {
			return false
		}
	}
	return true
}

// onlyRemovesFinalizers reports whether obj is old with fewer finalizers, apart from what the server writes.
func onlyRemovesFinalizers(obj, old *unstructured.Unstructured) bool {
	if !fewer(obj.GetFinalizers(), old.GetFinalizers()) || !onlyChangesMetadata(obj, old) {
		return false
	}
	after, _ := obj.Object["metadata"].(map[string]any)
	before, _ := old.Object["metadata"].(map[string]any)
	return reflect.DeepEqual(written(after, after), written(before, after))
}

// written returns what clients may write of metadata, except finalizers. What only the server writes counts if it is in sent.
func written(metadata, sent map[string]any) map[string]any {
	rest := maps.Clone(metadata)
	for _, key := range []string{"finalizers", "managedFields", "resourceVersion", "generation"} {
		delete(rest, key)
	}
	for _, key := range []string{"uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"} {
		if sent[key] == nil {
			delete(rest, key)
		}
	}
	return rest
}

// fewer reports whether some of the finalizers in before, but no others, are in after.
func fewer(after, before []string) bool {
	for _, name := range after {
		if !slices.Contains(before, name) {
			return false
		}
	}
	return len(after) < len(before)
}

// growthError says that defaults add too much to a stored object.
type growthError struct{ where string }

// Error implements error.
func (e growthError) Error() string { return cost.TooMuch(e.where) }

// noteGrowth takes note if err is because of defaults, and returns it as an API status.
func noteGrowth(ctx context.Context, err error) error {
	var growth growthError
	if !errors.As(err, &growth) {
		return err
	}
	status := apierrors.NewInternalError(err)
	tooCostly(ctx, status)
	return status
}
