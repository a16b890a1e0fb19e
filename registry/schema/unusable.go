package schema

import (
	"fmt"
	"net/http"

	"k8s.io/apiextensions-apiserver/pkg/apiserver"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

// ready makes what the stock handler makes at its first request, and returns why that is impossible. The stock handler would answer each
// request with 500 and say only "error resolving resource".
func (e *entry) ready() error {
	_, err := e.storage()
	if apierrors.IsNotFound(err) {
		return nil // it is being torn down: the stock handler answers that
	}
	return err
}

// unusable answers a request for a resource whose definition cannot be served because of err.
func unusable(w http.ResponseWriter, req *http.Request, err error) {
	gvr, name := schema.GroupVersionResource{}, ""
	if info, ok := genericapirequest.RequestInfoFrom(req.Context()); ok {
		gvr, name = schema.GroupVersionResource{Group: info.APIGroup, Version: info.APIVersion, Resource: info.Resource}, info.Name
	}
	status := apierrors.NewInternalError(fmt.Errorf("the definition of %s cannot be served: %w", gvr.GroupResource(), err))
	status.ErrStatus.Details.Group, status.ErrStatus.Details.Kind, status.ErrStatus.Details.Name = gvr.Group, gvr.Resource, name
	responsewriters.ErrorNegotiated(status, apiserver.Codecs, gvr.GroupVersion(), w, req)
}
