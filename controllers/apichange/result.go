package apichange

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/schemas/fit"
)

const (
	// maxErrors is how many errors are listed of an object.
	maxErrors = 3
	// maxBytes is what the objects of a report may take, so that it can be stored.
	maxBytes = 512 << 10
	// maxVersions is how many stored versions are told apart.
	maxVersions = 100
)

// result is what was found so far.
type result struct {
	consumers  annexv1alpha1.APIChangeReportConsumers
	objects    annexv1alpha1.APIChangeReportObjects
	stored     map[storedVersion]int64
	workspaces []annexv1alpha1.APIChangeReportWorkspace
	invalid    []annexv1alpha1.APIChangeReportObject
	bytes      int
}

type storedVersion struct {
	schema.GroupResource
	version string
}

// tally counts the objects of one consumer.
type tally struct {
	of      *result
	cluster logicalcluster.Name
	// hidden is whether no object of it is named: providers do not see what is in workspaces that are switched off.
	hidden  bool
	checked int64
	invalid int64
}

// unreadable notes an object whose stored bytes are no object.
func (t *tally) unreadable(h client.Head) {
	t.of.objects.Unreadable++
	t.count(h, []fit.Fault{{Message: "cannot be read even now"}}, 0)
}

// note notes an object that is stored in a version, and what was found.
func (t *tally) note(h client.Head, version string, faults []fit.Fault, more int) {
	at := storedVersion{h.Resource, strings.Clone(version)}
	if _, known := t.of.stored[at]; known || len(t.of.stored) < maxVersions {
		t.of.stored[at]++
	}
	t.count(h, faults, more)
}

func (t *tally) count(h client.Head, faults []fit.Fault, more int) {
	r := t.of
	t.checked++
	r.objects.Checked++
	if len(faults) == 0 {
		return
	}
	t.invalid++
	r.objects.Invalid++
	if t.hidden || len(r.invalid) == annexv1alpha1.MaxReportedObjects || r.bytes >= maxBytes {
		return
	}
	one := annexv1alpha1.APIChangeReportObject{
		Cluster: t.cluster.String(), Group: h.Resource.Group, Resource: h.Resource.Resource,
		Namespace: strings.Clone(h.Namespace), Name: strings.Clone(h.Name), // the head shares a larger text
	}
	for i, f := range faults {
		if i == maxErrors {
			more += len(faults) - i
			break
		}
		one.Errors = append(one.Errors, annexv1alpha1.APIChangeReportError{Version: f.Version, Field: f.Field, Message: f.Message})
		r.bytes += len(f.Version) + len(f.Field) + len(f.Message) + 40
	}
	one.MoreErrors = int32(min(more, 1<<30))
	r.bytes += len(one.Cluster) + len(one.Group) + len(one.Resource) + len(one.Namespace) + len(one.Name) + 100
	r.invalid = append(r.invalid, one)
}

// end ends the consumer.
func (t *tally) end(behind bool) {
	r := t.of
	r.consumers.Checked++
	if behind {
		r.consumers.Behind++
	}
	if t.invalid == 0 {
		return
	}
	r.consumers.Invalid++
	one := annexv1alpha1.APIChangeReportWorkspace{Cluster: t.cluster.String(), Objects: t.checked, Invalid: t.invalid}
	at, _ := slices.BinarySearchFunc(r.workspaces, one, func(a, b annexv1alpha1.APIChangeReportWorkspace) int {
		return cmp.Or(-cmp.Compare(a.Invalid, b.Invalid), cmp.Compare(a.Cluster, b.Cluster))
	})
	if at < annexv1alpha1.MaxReportedWorkspaces {
		r.workspaces = slices.Insert(r.workspaces, at, one)
		r.workspaces = r.workspaces[:min(len(r.workspaces), annexv1alpha1.MaxReportedWorkspaces)]
	}
}

// into fills in a status: only counts while the report is being made.
func (r *result) into(status *annexv1alpha1.APIChangeReportStatus, s *subject, ended bool) {
	status.Consumers, status.Objects = r.consumers, r.objects
	if !ended {
		return
	}
	status.Workspaces, status.InvalidObjects, status.StoredVersions = r.workspaces, r.invalid, nil
	for _, at := range slices.SortedFunc(maps.Keys(r.stored), func(a, b storedVersion) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.version, b.version))
	}) {
		kept := slices.ContainsFunc(s.resources[at.GroupResource].definition.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
			return v.Name == at.version
		})
		status.StoredVersions = append(status.StoredVersions, annexv1alpha1.APIChangeReportStoredVersion{
			Group: at.Group, Resource: at.Resource, Version: at.version, Objects: r.stored[at], Removed: !kept,
		})
	}
}
