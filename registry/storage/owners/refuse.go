package owners

import (
	"errors"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/apis/lifecycle"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/registry/storage/layout"
)

// refusal returns the API status with which the creation of k is refused because of the states of owners; nil if it is not.
func refusal(k layout.Key, all []owner) error {
	for i := range all {
		if err := all[i].refusal(k); err != nil {
			return err
		}
	}
	return nil
}

func (o *owner) refusal(k layout.Key) error {
	exists := o.revision != 0
	if exists && !o.deleting && !lifecycle.Lists(o.leaving, k.Resource) && (o.uid == "" || o.uid == o.state.uid) {
		return nil
	}
	switch o.key.Resource {
	case LogicalClusters:
		why := "access denied" // as for every request to a cluster that does not exist
		if exists {
			why = "unable to create new content in a logical cluster that is being deleted"
		}
		return because(metav1.StatusCause{Type: corev1alpha1.LogicalClusterTerminatingCause, Message: why}, apierrors.NewForbidden(k.Resource, k.Name, errors.New(why)))
	case Namespaces:
		if exists {
			// As kube-apiserver says it.
			why := fmt.Errorf("unable to create new content in namespace %s because it is being terminated", k.Namespace)
			return because(metav1.StatusCause{
				Type: corev1.NamespaceTerminatingCause, Message: fmt.Sprintf("namespace %s is being terminated", k.Namespace), Field: "metadata.namespace",
			}, apierrors.NewForbidden(k.Resource, k.Name, why))
		}
		return apierrors.NewNotFound(Namespaces, k.Namespace)
	}
	if exists && o.uid == o.state.uid {
		return apierrors.NewMethodNotSupported(k.Resource, "create")
	}
	return apierrors.NewGenericServerResponse(http.StatusNotFound, "create", k.Resource, k.Name, "", 0, false)
}

// because adds a cause to an error.
func because(cause metav1.StatusCause, err *apierrors.StatusError) error {
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, cause)
	return err
}
