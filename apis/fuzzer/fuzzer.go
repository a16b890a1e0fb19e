package fuzzer

import (
	"encoding/json"
	"reflect"

	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/randfill"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// Funcs returns the filling functions of all our groups and, for every kind that scheme can list, one that sets the defaults
// which scheme has for it.
func Funcs(scheme *runtime.Scheme) fuzzer.FuzzerFuncs {
	return func(serializer.CodecFactory) []any { return append(defaulting(scheme), ours()...) }
}

// defaulting returns a func(*T, randfill.Continue) for the Go type T of every kind.
func defaulting(scheme *runtime.Scheme) []any {
	var funcs []any
	types := scheme.AllKnownTypes()
	for gvk, object := range types {
		if _, listed := types[gvk.GroupVersion().WithKind(gvk.Kind+"List")]; !listed {
			continue
		}
		signature := reflect.FuncOf([]reflect.Type{reflect.PointerTo(object), reflect.TypeFor[randfill.Continue]()}, nil, false)
		funcs = append(funcs, reflect.MakeFunc(signature, func(args []reflect.Value) []reflect.Value {
			args[1].Interface().(randfill.Continue).FillNoCustom(args[0].Interface())
			scheme.Default(args[0].Interface().(runtime.Object))
			return nil
		}).Interface())
	}
	return funcs
}

// ours are about parts of objects.
func ours() []any {
	return []any{
		func(in *apisv1alpha1.APIResourceVersion, c randfill.Continue) {
			c.FillNoCustom(in)
			raw, _ := json.Marshal(map[string]string{"description": c.String(0)}) // strings always encode
			in.Schema.Raw, in.Schema.Object = raw, nil
		},
		func(in *apisv1alpha1.APIExportSpec, c randfill.Continue) {
			c.FillNoCustom(in)
			for i := range in.LatestResourceSchemas {
				if c.Bool() { // half of the names are well formed, the others anything
					in.LatestResourceSchemas[i] = "v" + c.String(8) + ".widgets.example.com"
				}
			}
		},
		func(in *apisv1alpha2.ResourceSchema, c randfill.Continue) {
			c.FillNoCustom(in)
			if c.Bool() {
				*in = apisv1alpha2.ResourceSchema{Name: "widgets", Group: "example.com", Schema: "v1.widgets.example.com"}
			}
		},
		func(in *apisv1alpha2.ResourceSchemaStorage, c randfill.Continue) {
			if c.Bool() {
				in.CRD = &apisv1alpha2.ResourceSchemaStorageCRD{}
				return
			}
			in.Virtual = &apisv1alpha2.ResourceSchemaStorageVirtual{}
			c.Fill(in.Virtual)
			if in.Virtual.Reference.APIGroup == nil {
				in.Virtual.Reference.APIGroup = ptr.To(c.String(0))
			}
		},
	}
}
