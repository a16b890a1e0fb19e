package apiservice

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

const (
	// AnchorLabel is the label of every APIService that a Registrar created. Its value is the name of the anchor.
	AnchorLabel = "annex.dev/apiservice-anchor"
	// OwnersAnnotation lists the owners that want an APIService, separated by commas.
	OwnersAnnotation = "annex.dev/wanted-by"
	// injectedPrefix is the prefix of the annotations that make cert-manager write the caBundle.
	injectedPrefix = "cert-manager.io/inject-"
)

// Priorities are the priorities that the host gives to groups of CustomResourceDefinitions. They are the same for all versions of a
// group: the host then orders versions by their names, newer ones first, and a new or removed version does not change the others.
const (
	groupPriority   = 1000
	versionPriority = 100
)

// nameOf returns the name of the APIService of gv.
func nameOf(gv schema.GroupVersion) string { return gv.Version + "." + gv.Group }

// groupVersionOf returns what an APIService serves.
func groupVersionOf(s *apiregistrationv1.APIService) schema.GroupVersion {
	return schema.GroupVersion{Group: s.Spec.Group, Version: s.Spec.Version}
}

// ownerReference makes the host's garbage collector delete an object after the anchor is gone.
func ownerReference(anchor *apiregistrationv1.APIService) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: apiregistrationv1.SchemeGroupVersion.String(),
		Kind:       "APIService",
		Name:       anchor.Name,
		UID:        anchor.UID,
	}
}

// hasOwner reports whether s refers to an APIService of this name; of that UID, too, unless it is empty.
func hasOwner(s *apiregistrationv1.APIService, name string, uid types.UID) bool {
	return slices.ContainsFunc(s.OwnerReferences, func(o metav1.OwnerReference) bool {
		gv, err := schema.ParseGroupVersion(o.APIVersion)
		return err == nil && gv.Group == apiregistrationv1.GroupName && o.Kind == "APIService" && o.Name == name && (uid == "" || o.UID == uid)
	})
}

// ours reports whether a Registrar created s for exactly this anchor.
func ours(s, anchor *apiregistrationv1.APIService) bool {
	return s.Spec.Service != nil && s.Labels[AnchorLabel] == anchor.Name && hasOwner(s, anchor.Name, anchor.UID)
}

// leftOver reports whether a Registrar created s for an earlier anchor of the same name. The host deletes s by itself.
func leftOver(s, anchor *apiregistrationv1.APIService) bool {
	return s.Spec.Service != nil && s.Labels[AnchorLabel] == anchor.Name && hasOwner(s, anchor.Name, "") && !hasOwner(s, anchor.Name, anchor.UID)
}

// describeForeign describes, for users, what serves the group version instead.
func describeForeign(s *apiregistrationv1.APIService) string {
	if s.Spec.Service == nil {
		return fmt.Sprintf("the host itself serves %s, built in or for a CustomResourceDefinition", groupVersionOf(s))
	}
	return fmt.Sprintf("APIService %s of the host has another owner: it leads to Service %s/%s", s.Name, s.Spec.Service.Namespace, s.Spec.Service.Name)
}

// injected reports whether cert-manager writes the caBundle of s.
func injected(s *apiregistrationv1.APIService) bool {
	for key := range s.Annotations {
		if strings.HasPrefix(key, injectedPrefix) {
			return true
		}
	}
	return false
}

// like returns a new APIService for gv with the settings of the anchor.
func like(anchor *apiregistrationv1.APIService, gv schema.GroupVersion, caBundle []byte, owners []string) *apiregistrationv1.APIService {
	s := &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: nameOf(gv), OwnerReferences: []metav1.OwnerReference{ownerReference(anchor)}},
		Spec:       apiregistrationv1.APIServiceSpec{Group: gv.Group, Version: gv.Version},
	}
	align(s, anchor, caBundle, owners)
	return s
}

// align updates s to the settings of the anchor, and reports whether s changed.
func align(s, anchor *apiregistrationv1.APIService, caBundle []byte, owners []string) (changed bool) {
	before := s.DeepCopy()
	s.Labels, s.Annotations = maps.Clone(s.Labels), maps.Clone(s.Annotations)
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	if s.Annotations == nil {
		s.Annotations = map[string]string{}
	}
	s.Labels[AnchorLabel] = anchor.Name
	s.Annotations[OwnersAnnotation] = strings.Join(owners, ",")
	s.Spec.Service = anchor.Spec.Service.DeepCopy()
	s.Spec.InsecureSkipTLSVerify = anchor.Spec.InsecureSkipTLSVerify
	s.Spec.CABundle = bytes.Clone(caBundle)
	s.Spec.GroupPriorityMinimum, s.Spec.VersionPriority = groupPriority, versionPriority
	return !apiequality.Semantic.DeepEqual(before, s)
}

// ownersOn returns the owners that wanted s when it was last written.
func ownersOn(s *apiregistrationv1.APIService) []string {
	return strings.FieldsFunc(s.Annotations[OwnersAnnotation], func(r rune) bool { return r == ',' })
}

// availability returns the state of an APIService that is ours.
func availability(s *apiregistrationv1.APIService) State {
	for _, c := range s.Status.Conditions {
		if c.Type != apiregistrationv1.Available {
			continue
		}
		if c.Status == apiregistrationv1.ConditionTrue {
			return State{Phase: Available}
		}
		return State{Phase: Registered, Message: c.Reason + ": " + c.Message}
	}
	return State{Phase: Registered, Message: "the host has not checked it yet"}
}
