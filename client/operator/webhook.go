package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// AdmissionRequest is what an admission webhook is asked: a stock request, and the logical cluster of the object that it is about.
type AdmissionRequest struct {
	admission.Request
	ClusterName logicalcluster.Name
}

// Admission returns a stock handler that calls handle. A request that does not say which cluster it is about is refused with 400, and handle is not
// called, because it could decide for the wrong consumer.
func Admission(handle func(context.Context, AdmissionRequest) admission.Response) admission.Handler {
	return admission.HandlerFunc(func(ctx context.Context, request admission.Request) admission.Response {
		cluster, err := clusterOf(&request.AdmissionRequest)
		if err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
		return handle(ctx, AdmissionRequest{Request: request, ClusterName: cluster})
	})
}

// AdmissionCluster returns the logical cluster of the object that a stock admission.Validator or admission.Defaulter is called with, whose context
// has the request. It returns an error if the context has none, or if the request does not say which cluster it is about.
func AdmissionCluster(ctx context.Context) (logicalcluster.Name, error) {
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return "", err
	}
	return clusterOf(&request.AdmissionRequest)
}

// clusterOf returns which cluster a request is about. The server writes it into the annotation of a new object before it asks. For other requests,
// the stored object is read, because the annotation there is always the server's.
func clusterOf(request *admissionv1.AdmissionRequest) (logicalcluster.Name, error) {
	raw := request.OldObject.Raw
	if request.Operation == admissionv1.Create {
		raw = request.Object.Raw
	}
	if len(raw) == 0 {
		return "", fmt.Errorf("a request for %s has no object that says which cluster it is about", request.Operation)
	}
	var object metav1.PartialObjectMetadata
	if err := json.Unmarshal(raw, &object); err != nil {
		return "", fmt.Errorf("reading which cluster a request for %s is about: %w", request.Operation, err)
	}
	cluster := logicalcluster.From(&object)
	if cluster.Empty() {
		return "", errors.New("the object of the request has no annotation " + logicalcluster.AnnotationKey)
	}
	if _, err := logicalcluster.ParseName(string(cluster)); err != nil {
		return "", fmt.Errorf("reading which cluster a request for %s is about: %w", request.Operation, err)
	}
	return cluster, nil
}
