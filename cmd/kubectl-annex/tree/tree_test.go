package tree

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// workspace returns a Workspace in a logical cluster, with a logical cluster of its own.
func workspace(in, path, cluster string) tenancyv1alpha1.Workspace {
	_, name := logicalcluster.Path(path).Split()
	w := tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{logicalcluster.AnnotationKey: in}}}
	w.Spec.URL, w.Spec.Cluster, w.Status.Phase = "https://annex/clusters/"+path, cluster, corev1alpha1.LogicalClusterPhaseReady
	return w
}

// everything has a mount, a workspace without an address, one that is being deleted, and one that nobody may enter.
func everything() []tenancyv1alpha1.Workspace {
	mount := workspace("root", "root:mnt", "")
	mount.Spec.Mount = &tenancyv1alpha1.Mount{}
	young := workspace("org1", "root:org1:young", "")
	young.Spec.URL, young.Status.Phase = "", corev1alpha1.LogicalClusterPhaseScheduling
	gone := workspace("root", "root:gone", "gone")
	gone.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	return []tenancyv1alpha1.Workspace{
		mount, gone, workspace("root", "root:org1", "org1"), workspace("org1", "root:org1:team-a", "team-a"), young,
		workspace("root", "root:secret", "secret"), workspace("team-a", "root:org1:team-a:x", "x"),
	}
}

const picture = `root
├── mnt [m]
├── org1
│   ├── team-a
│   │   └── x
│   └── young
└── secret
`

func TestDraw_OneListOfAll(t *testing.T) {
	var out strings.Builder
	if errs := Draw(t.Context(), &out, Plant("root", "root", everything()), Look{}); len(errs) > 0 || out.String() != picture {
		t.Errorf("%v\n%s\nwant\n%s", errs, &out, picture)
	}
}

// lister lists as a server does, to somebody who may not enter root:secret.
func lister(fault error) List {
	return func(_ context.Context, path logicalcluster.Path) ([]tenancyv1alpha1.Workspace, error) {
		if path == "root:secret" {
			return nil, apierrors.NewForbidden(tenancyv1alpha1.Resource("workspaces"), "", errors.New("no"))
		}
		if path == "root:org1" && fault != nil {
			return nil, fault
		}
		_, name := path.Split()
		var found []tenancyv1alpha1.Workspace
		for _, w := range everything() {
			if string(logicalcluster.From(&w)) == name {
				found = append(found, w)
			}
		}
		return found, nil
	}
}

func TestDraw_AListForEach(t *testing.T) {
	var out strings.Builder
	if errs := Draw(t.Context(), &out, Grow(t.Context(), "root", lister(nil)), Look{}); len(errs) > 0 || out.String() != picture {
		t.Errorf("%v\n%s\nwant\n%s", errs, &out, picture)
	}
	out.Reset()
	want := ".\n└── root:org1\n    ├── root:org1:team-a\n    │   └── root:org1:team-a:x\n    └── young\n"
	if errs := Draw(t.Context(), &out, Grow(t.Context(), "root:org1", lister(nil)), Look{Full: true, Dot: true}); len(errs) > 0 || out.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", errs, &out, want)
	}
}

// A fault in one workspace hides neither the others nor itself. What a user may not see, or what is gone meanwhile, is no fault.
func TestDraw_Faults(t *testing.T) {
	var out strings.Builder
	errs := Draw(t.Context(), &out, Grow(t.Context(), "root", lister(apierrors.NewInternalError(errors.New("broken")))), Look{})
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "broken") || strings.Contains(out.String(), "team-a") || !strings.Contains(out.String(), "secret") {
		t.Errorf("%v\n%s", errs, &out)
	}
	out.Reset()
	if errs := Draw(t.Context(), &out, Grow(t.Context(), "root", lister(apierrors.NewNotFound(tenancyv1alpha1.Resource("workspaces"), "x"))), Look{}); len(errs) > 0 {
		t.Error(errs)
	}
}

func TestDrawWide(t *testing.T) {
	var out strings.Builder
	errs := DrawWide(t.Context(), &out, Grow(t.Context(), "root", lister(nil)), Look{Dot: true}, func(_ context.Context, path logicalcluster.Path) string {
		if path == "root:org1" {
			return "Ready"
		}
		return ""
	})
	want := []string{"└── root ws=- lc=Unknown", "├── org1 ws=Ready lc=Ready", "└── young ws=Scheduling lc=Unknown", "├── mnt [m] ws=Ready lc=Unknown"}
	said := strings.Join(strings.Fields(out.String()), " ")
	for _, line := range want {
		if len(errs) > 0 || !strings.Contains(said, line) {
			t.Errorf("%v\n%s\nhas not %q", errs, &out, line)
		}
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")[1:]
	for _, line := range lines {
		if column := len([]rune(line[:strings.Index(line, "ws=")])); column != len([]rune(lines[0][:strings.Index(lines[0], "ws=")])) {
			t.Errorf("columns are not below each other:\n%s", &out)
		}
	}
}

// A list has more of each workspace than is kept of it.
func TestDecode(t *testing.T) {
	want := everything()
	list := tenancyv1alpha1.WorkspaceList{ListMeta: metav1.ListMeta{Continue: "more"}, Items: everything()}
	for i := range want {
		want[i].Spec.Type = &tenancyv1alpha1.WorkspaceTypeReference{Name: "universal", Path: "root"}
		full := want[i].DeepCopy()
		full.UID, full.ManagedFields = "uid", []metav1.ManagedFieldsEntry{{Manager: "me", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:URL":{}}}`)}}
		full.Labels, full.Annotations["other"] = map[string]string{"kcp.io/cluster": "elsewhere"}, "x"
		if full.Spec.Mount != nil {
			full.Spec.Mount.Reference.Name = "there"
		}
		list.Items[i] = *full
	}
	data, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	got, next, err := decode(data, nil)
	if diff := cmp.Diff(want, got); err != nil || next != "more" || diff != "" {
		t.Errorf("%v, %q, -want +got\n%s", err, next, diff)
	}
	if got, _, err := decode([]byte("<html>"), nil); err == nil {
		t.Errorf("a page of a proxy has %d workspaces", len(got))
	}
}

func TestEach(t *testing.T) {
	paths := make(chan string, 10)
	errs := Each(t.Context(), Grow(t.Context(), "root", lister(nil)), func(_ context.Context, n *Node) error {
		paths <- n.Path.String()
		return nil
	})
	close(paths)
	seen := map[string]bool{}
	for path := range paths {
		seen[path] = true
	}
	if len(errs) > 0 || len(seen) != 5 || !seen["root"] || !seen["root:secret"] || seen["root:mnt"] {
		t.Errorf("%v, %v", errs, seen)
	}
}
