package readertest

import (
	"k8s.io/apimachinery/pkg/runtime"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
)

// ours registers the kinds of our own groups.
func ours() []func(*runtime.Scheme) error {
	return []func(*runtime.Scheme) error{
		tenancyv1alpha1.AddToScheme, corev1alpha1.AddToScheme, topologyv1alpha1.AddToScheme,
	}
}
