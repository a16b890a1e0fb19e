package operator

import (
	"context"
	"net/http"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// The cluster is what the server says, and nobody decides about a request without one.
func TestAdmission_NamesTheCluster(t *testing.T) {
	in := func(cluster string) runtime.RawExtension {
		return runtime.RawExtension{Raw: []byte(`{"metadata":{"name":"same","annotations":{"kcp.io/cluster":"` + cluster + `"}}}`)}
	}
	none := runtime.RawExtension{}
	for name, test := range map[string]struct {
		operation   admissionv1.Operation
		object, old runtime.RawExtension
		want        logicalcluster.Name
	}{
		"a new object":                         {admissionv1.Create, in("one"), none, "one"},
		"a new object, with something older":   {admissionv1.Create, in("one"), in("two"), "one"},
		"an update, whatever the client wrote": {admissionv1.Update, in("forged"), in("one"), "one"},
		"a deletion":                           {admissionv1.Delete, none, in("one"), "one"},
		"an update without the old object":     {admissionv1.Update, in("forged"), none, ""},
		"a connection":                         {admissionv1.Connect, in("forged"), none, ""},
		"no object":                            {admissionv1.Delete, none, none, ""},
		"no annotation":                        {admissionv1.Create, runtime.RawExtension{Raw: []byte(`{"metadata":{"name":"same"}}`)}, none, ""},
		"no cluster":                           {admissionv1.Create, in(""), none, ""},
		"all clusters":                         {admissionv1.Create, in("*"), none, ""},
		"a path":                               {admissionv1.Create, in("root:org"), none, ""},
		"no JSON":                              {admissionv1.Create, runtime.RawExtension{Raw: []byte("{")}, none, ""},
	} {
		t.Run(name, func(t *testing.T) {
			request := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{Operation: test.operation, Object: test.object, OldObject: test.old}}
			var asked []logicalcluster.Name
			response := Admission(func(_ context.Context, r AdmissionRequest) admission.Response {
				asked = append(asked, r.ClusterName)
				return admission.Allowed("")
			}).Handle(t.Context(), request)
			got, err := AdmissionCluster(admission.NewContextWithRequest(t.Context(), request))
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("AdmissionCluster returns %q, %v", got, err)
			}
			if test.want == "" {
				if len(asked) > 0 || response.Allowed || response.Result.Code != http.StatusBadRequest {
					t.Errorf("the handler was asked about %q, and the answer is %+v", asked, response)
				}
				return
			}
			if len(asked) != 1 || asked[0] != test.want || !response.Allowed {
				t.Errorf("the handler was asked about %q, and the answer is %+v", asked, response)
			}
		})
	}
	if _, err := AdmissionCluster(t.Context()); err == nil {
		t.Error("a context without a request names a cluster")
	}
}
