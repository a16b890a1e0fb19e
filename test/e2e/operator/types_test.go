package operator

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
)

var groupVersion = schema.GroupVersion{Group: "shop.example.com", Version: "v1"}

// Bakery bakes loaves, each a ConfigMap, from flour, which is a ConfigMap, too.
type Bakery struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              BakerySpec   `json:"spec,omitempty"`
	Status            BakeryStatus `json:"status,omitempty"`
}

// BakerySpec is what is wanted.
type BakerySpec struct {
	Loaves *int   `json:"loaves,omitempty"` // from the webhook if missing
	Flour  string `json:"flour,omitempty"`
}

// BakeryStatus is what there is.
type BakeryStatus struct {
	Loaves       int                `json:"loaves,omitempty"`
	FlourVersion string             `json:"flourVersion,omitempty"`
	Conditions   []metav1.Condition `json:"conditions,omitempty"`
}

// BakeryList is a list of bakeries.
type BakeryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Bakery `json:"items"`
}

// DeepCopyObject implements runtime.Object.
func (b *Bakery) DeepCopyObject() runtime.Object {
	out := *b
	out.ObjectMeta = *b.ObjectMeta.DeepCopy()
	if b.Spec.Loaves != nil {
		loaves := *b.Spec.Loaves
		out.Spec.Loaves = &loaves
	}
	out.Status.Conditions = slices.Clone(b.Status.Conditions)
	return &out
}

// DeepCopyObject implements runtime.Object.
func (l *BakeryList) DeepCopyObject() runtime.Object {
	out := &BakeryList{TypeMeta: l.TypeMeta, ListMeta: *l.ListMeta.DeepCopy()}
	for i := range l.Items {
		out.Items = append(out.Items, *l.Items[i].DeepCopyObject().(*Bakery))
	}
	return out
}

// newScheme returns a scheme with bakeries and all that Kubernetes has.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(groupVersion, &Bakery{}, &BakeryList{})
	metav1.AddToGroupVersion(scheme, groupVersion)
	return scheme, clientgoscheme.AddToScheme(scheme)
}
