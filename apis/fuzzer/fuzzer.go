package fuzzer

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/randfill"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

var _ fuzzer.FuzzerFuncs = Funcs

// Funcs returns the filling functions of all our groups, in the form that apimachinery's fuzzer takes.
func Funcs(serializer.CodecFactory) []any {
	return []any{
		func(in *tenancyv1alpha1.Workspace, c randfill.Continue) {
			c.FillNoCustom(in)
			tenancyv1alpha1.SetObjectDefaults_Workspace(in)
		},
		func(in *tenancyv1alpha1.WorkspaceType, c randfill.Continue) {
			c.FillNoCustom(in)
			tenancyv1alpha1.SetObjectDefaults_WorkspaceType(in)
		},
		func(in *corev1alpha1.LogicalCluster, c randfill.Continue) {
			c.FillNoCustom(in)
			corev1alpha1.SetObjectDefaults_LogicalCluster(in)
		},
		func(in *corev1alpha1.Shard, c randfill.Continue) {
			c.FillNoCustom(in)
			corev1alpha1.SetObjectDefaults_Shard(in)
		},
		func(in *annexv1alpha1.HostBinding, c randfill.Continue) {
			c.FillNoCustom(in)
			annexv1alpha1.SetObjectDefaults_HostBinding(in)
		},
		func(in *apisv1alpha1.APIResourceVersion, c randfill.Continue) {
			c.FillNoCustom(in)
			raw, _ := json.Marshal(map[string]string{"description": c.String(0)}) // strings always encode
			in.Schema.Raw, in.Schema.Object = raw, nil
		},
		func(in *apisv1alpha1.APIResourceSchema, c randfill.Continue) {
			c.FillNoCustom(in)
			apisv1alpha1.SetObjectDefaults_APIResourceSchema(in)
		},
		func(in *apisv1alpha2.APIExport, c randfill.Continue) {
			c.FillNoCustom(in)
			apisv1alpha2.SetObjectDefaults_APIExport(in)
		},
		func(in *apisv1alpha1.APIExport, c randfill.Continue) {
			c.FillNoCustom(in)
			for i := range in.Spec.LatestResourceSchemas {
				if c.Bool() { // half of the names are well formed, the others anything
					in.Spec.LatestResourceSchemas[i] = "v" + c.String(8) + ".widgets.example.com"
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
