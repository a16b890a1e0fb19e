package apiextensions

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// reservedDomain is the suffix of groups, and the domain of annotations, that only the server's own definitions may have.
const reservedDomain = apisv1alpha2.GroupName

// checkReserved returns Forbidden when obj, a definition outside the server's own clusters, claims a reserved group or
// changes reserved annotations. old is nil on create.
func checkReserved(ctx context.Context, obj, old runtime.Object) error {
	crd, ok := obj.(*apiextensions.CustomResourceDefinition)
	if !ok {
		return fmt.Errorf("checking reserved names: unexpected type %T", obj)
	}
	if cluster, _ := logicalcluster.FromContext(ctx); cluster.IsSystem() {
		return nil
	}
	forbidden := func(format string, args ...any) error {
		return apierrors.NewForbidden(apiextensions.Resource(resourceName), crd.Name, fmt.Errorf(format, args...))
	}
	if inReservedDomain(crd.Spec.Group) && old == nil {
		return forbidden("spec.group: %q is reserved: groups that end in %s cannot be defined here", crd.Spec.Group, reservedDomain)
	}
	var before map[string]string
	if previous, ok := old.(*apiextensions.CustomResourceDefinition); ok {
		before = reservedAnnotations(previous)
	}
	now := reservedAnnotations(crd)
	if !maps.Equal(before, now) {
		return forbidden("metadata.annotations: annotations in the domain %s are reserved: %s", reservedDomain, strings.Join(changedKeys(before, now), ", "))
	}
	return nil
}

func inReservedDomain(domain string) bool {
	return domain == reservedDomain || strings.HasSuffix(domain, "."+reservedDomain)
}

func reservedAnnotations(crd *apiextensions.CustomResourceDefinition) map[string]string {
	reserved := map[string]string{}
	for key, value := range crd.Annotations {
		if domain, _, ok := strings.Cut(key, "/"); ok && inReservedDomain(domain) {
			reserved[key] = value
		}
	}
	return reserved
}

func changedKeys(before, now map[string]string) []string {
	var changed []string
	for key, value := range now {
		if previous, ok := before[key]; !ok || previous != value {
			changed = append(changed, key)
		}
	}
	for key := range before {
		if _, ok := now[key]; !ok {
			changed = append(changed, key)
		}
	}
	slices.Sort(changed)
	return changed
}
