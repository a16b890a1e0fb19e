package discovery

import (
	"cmp"
	"slices"
	"strings"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/endpoints/discovery"

	"github.com/annex-dev/annex/registry/catalog"
)

// merge returns the groups that a cluster with the snapshot serves: those of the process in their order (only the bound
// ones when whole is false), then the others by name. Versions of the process come before others of a group, which stand in
// the usual order: v2, v1, v1beta1.
func merge(b *base, snapshot *catalog.Snapshot, whole bool, bound func(schema.GroupResource) bool) []apiGroup {
	var groups []apiGroup
	for _, g := range b.groups {
		if g = visible(g, snapshot, whole, bound); len(g.versions) > 0 {
			groups = append(groups, g)
		}
	}
	own := len(groups)
	for _, resource := range snapshot.Resources() {
		if resource.Typed {
			continue
		}
		i := slices.IndexFunc(groups, func(g apiGroup) bool { return g.name == resource.Group })
		if i < 0 {
			i = len(groups)
			groups = append(groups, apiGroup{name: resource.Group})
		}
		addCustom(&groups[i], resource)
	}
	slices.SortStableFunc(groups[own:], func(a, b apiGroup) int { return cmp.Compare(a.name, b.name) })
	return groups
}

// visible returns the part of g, a group of the process, that a cluster with the snapshot serves. The result shares no
// slice that is appended to with g.
func visible(g apiGroup, snapshot *catalog.Snapshot, whole bool, bound func(schema.GroupResource) bool) apiGroup {
	out := apiGroup{name: g.name}
	for _, v := range g.versions {
		var resources []metav1.APIResource
		for _, r := range v.resources {
			plural, subresource, _ := strings.Cut(r.Name, "/")
			gr := schema.GroupResource{Group: g.name, Resource: plural}
			if !bound(gr) {
				if whole {
					resources = append(resources, r)
				}
				continue
			}
			resource, ok := snapshot.Lookup(gr)
			if !ok || !resource.Typed {
				continue
			}
			if resource.Terminating && subresource == "" {
				r.Verbs = withoutCreate(r.Verbs)
			}
			if r, ok = limited(r, resource); ok {
				resources = append(resources, r)
			}
		}
		if len(resources) > 0 {
			out.versions = append(out.versions, apiVersion{name: v.name, resources: resources})
		}
	}
	return out
}

// limited returns entry, which is of resource or a subresource, with the verbs that resource is limited to; false if there is nothing to show.
func limited(entry metav1.APIResource, resource *catalog.Resource) (metav1.APIResource, bool) {
	if resource.Verbs == nil {
		return entry, true
	}
	verbs := resource.Verbs
	if _, subresource, is := strings.Cut(entry.Name, "/"); is {
		if subresource != "status" {
			return entry, false
		}
		if resource.StatusVerbs != nil {
			verbs = resource.StatusVerbs
		}
	}
	entry.Verbs = slices.DeleteFunc(slices.Clone(entry.Verbs), func(verb string) bool { return !slices.Contains(verbs, verb) })
	return entry, len(entry.Verbs) > 0
}

// withoutCreate returns the verbs of a resource that is going away.
func withoutCreate(verbs metav1.Verbs) metav1.Verbs {
	return slices.DeleteFunc(slices.Clone(verbs), func(verb string) bool { return verb == "create" })
}

// addCustom adds every served version of a custom resource to g.
func addCustom(g *apiGroup, resource *catalog.Resource) {
	storageHash := ""
	for _, v := range resource.CRD.Spec.Versions {
		if v.Storage {
			storageHash = discovery.StorageVersionHash(resource.Group, v.Name, resource.Kind)
		}
	}
	for _, v := range resource.CRD.Spec.Versions {
		if !v.Served {
			continue
		}
		at := versionOf(g, v.Name)
		for _, entry := range customResources(resource, v.Name, storageHash) {
			if entry, ok := limited(entry, resource); ok {
				at.resources = append(at.resources, entry)
			}
		}
	}
}

// versionOf returns the version of g called name, which is put in its place when it is new.
func versionOf(g *apiGroup, name string) *apiVersion {
	i := slices.IndexFunc(g.versions, func(v apiVersion) bool { return v.name == name })
	if i >= 0 {
		return &g.versions[i]
	}
	i = slices.IndexFunc(g.versions, func(v apiVersion) bool { return version.CompareKubeAwareVersionStrings(name, v.name) > 0 })
	if i < 0 {
		i = len(g.versions)
	}
	g.versions = slices.Insert(g.versions, i, apiVersion{name: name})
	return &g.versions[i]
}

// customResources returns the entries of a custom resource and of its subresources in one version.
func customResources(resource *catalog.Resource, version, storageHash string) []metav1.APIResource {
	verbs := metav1.Verbs{"delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"}
	if resource.Terminating {
		verbs = withoutCreate(verbs)
	}
	partial := metav1.Verbs{"get", "patch", "update"}
	out := []metav1.APIResource{{
		Name:               resource.Plural,
		SingularName:       resource.Singular,
		Namespaced:         resource.Namespaced,
		Kind:               resource.Kind,
		Verbs:              verbs,
		ShortNames:         resource.ShortNames,
		Categories:         resource.Categories,
		StorageVersionHash: storageHash,
	}}
	// Fails only for a version that is not in the definition.
	subresources, err := apihelpers.GetSubresourcesForVersion(resource.CRD, version)
	if err != nil || subresources == nil {
		return out
	}
	if subresources.Status != nil {
		out = append(out, metav1.APIResource{
			Name: resource.Plural + "/status", Namespaced: resource.Namespaced, Kind: resource.Kind, Verbs: partial,
		})
	}
	if subresources.Scale != nil {
		out = append(out, metav1.APIResource{
			Name: resource.Plural + "/scale", Namespaced: resource.Namespaced, Kind: "Scale", Verbs: partial,
			Group: autoscalingv1.GroupName, Version: autoscalingv1.SchemeGroupVersion.Version,
		})
	}
	return out
}
