package clienttest

import (
	"k8s.io/apimachinery/pkg/runtime"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
)

// ours registers the kinds of our own groups.
func ours() []func(*runtime.Scheme) error {
	return []func(*runtime.Scheme) error{
		tenancyv1alpha1.AddToScheme, corev1alpha1.AddToScheme, topologyv1alpha1.AddToScheme,
		apisv1alpha1.AddToScheme, apisv1alpha2.AddToScheme, annexv1alpha1.AddToScheme,
	}
}
