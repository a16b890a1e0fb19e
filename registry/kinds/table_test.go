package kinds

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/group"
)

// matching returns the rows of All that match, sorted, in the form workspaces.tenancy.kcp.io.
func matching(match func(schema.GroupResource) bool) []string {
	var all []string
	for _, row := range All.Rows() {
		if gr := row.GroupResource(); match(gr) {
			all = append(all, gr.String())
		}
	}
	slices.Sort(all)
	return all
}

// What the table answers about every kind decides what tenants can reach, so that a change of it must be seen here too.
func TestAll_Answers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		is   func(schema.GroupResource) bool
		want string
	}{
		"bound": {All.IsBound, "hostbindings.annex.dev partitions.topology.kcp.io partitionsets.topology.kcp.io shards.core.kcp.io " +
			"workspaceauthenticationconfigurations.tenancy.kcp.io workspaceclaims.annex.dev workspaceclasses.annex.dev workspaces.tenancy.kcp.io workspacetypes.tenancy.kcp.io"},
		"in the host workspace": {All.IsInHostWorkspace, "hostbindings.annex.dev workspaceclaims.annex.dev workspaceclasses.annex.dev"},
		"status by the server": {All.IsStatusByServer, "apibindings.apis.kcp.io apichangereports.annex.dev apiexportrollouts.annex.dev apiexports.apis.kcp.io apistoragemigrations.annex.dev clustercachedresourceendpointslices.cache.kcp.io " +
			"clustercachedresources.cache.kcp.io hostbindings.annex.dev " +
			"logicalclusters.core.kcp.io workspaceaccesses.annex.dev workspaceclaims.annex.dev workspaces.tenancy.kcp.io workspacetypes.tenancy.kcp.io"},
		"without protobuf": {All.IsPlain, "accessexplanations.annex.dev apibindings.apis.kcp.io apichangereports.annex.dev apiconversions.apis.kcp.io apiexportendpointslices.apis.kcp.io " +
			"apiexportrollouts.annex.dev apiexports.apis.kcp.io apiresourceschemas.apis.kcp.io apistoragemigrations.annex.dev clustercachedresourceendpointslices.cache.kcp.io clustercachedresources.cache.kcp.io " +
			"hostbindings.annex.dev logicalclusters.core.kcp.io partitions.topology.kcp.io partitionsets.topology.kcp.io shards.core.kcp.io " +
			"whocanreviews.annex.dev workspaceaccesses.annex.dev workspaceauthenticationconfigurations.tenancy.kcp.io workspaceclaims.annex.dev workspaceclasses.annex.dev workspaces.tenancy.kcp.io workspacetypes.tenancy.kcp.io"},
		"in namespaces of the host": {All.HasHostNamespaces, "workspaceaccesses.annex.dev workspaceclaims.annex.dev"},
		"hosted": {func(gr schema.GroupResource) bool { return All.IsHosted(gr.Group) }, "accessexplanations.annex.dev apibindings.apis.kcp.io apichangereports.annex.dev apiconversions.apis.kcp.io apiexportendpointslices.apis.kcp.io " +
			"apiexportrollouts.annex.dev apiexports.apis.kcp.io apiresourceschemas.apis.kcp.io apistoragemigrations.annex.dev hostbindings.annex.dev logicalclusters.core.kcp.io partitions.topology.kcp.io " +
			"partitionsets.topology.kcp.io shards.core.kcp.io whocanreviews.annex.dev workspaceaccesses.annex.dev workspaceauthenticationconfigurations.tenancy.kcp.io workspaceclaims.annex.dev workspaceclasses.annex.dev workspaces.tenancy.kcp.io " +
			"workspacetypes.tenancy.kcp.io"},
	} {
		if got := strings.Join(matching(tt.is), " "); got != tt.want {
			t.Errorf("%s: %s\nwant %s", name, got, tt.want)
		}
	}
	var hosted []string
	for _, row := range All.Hosted() {
		hosted = append(hosted, row.GroupResource().String())
	}
	slices.Sort(hosted)
	if want := matching(func(gr schema.GroupResource) bool { return All.IsHosted(gr.Group) }); !slices.Equal(hosted, want) {
		t.Errorf("hosted %v, want %v", hosted, want)
	}
	for _, row := range All.Rows() {
		gr := row.GroupResource()
		if All.IsEverywhere(gr) == All.IsBound(gr) {
			t.Errorf("%s is served everywhere and only where it is bound, or neither", gr)
		}
	}
	for _, unknown := range []schema.GroupResource{{Resource: "pods"}, {Group: "tenancy.kcp.io", Resource: "workspaces/status"}} {
		if All.IsEverywhere(unknown) || All.IsBound(unknown) || All.IsStatusByServer(unknown) || All.IsInHostWorkspace(unknown) {
			t.Errorf("the table knows %s", unknown)
		}
	}
	if All.IsHosted("apps") || All.IsHosted("") {
		t.Error("a group that is not ours is forwarded by a host")
	}
}

func TestAll_Exported(t *testing.T) {
	t.Parallel()
	var got []string
	for _, row := range All.Exported() {
		got = append(got, row.Export+" exports "+row.Resource)
	}
	want := []string{
		"tenancy.kcp.io exports workspaces", "tenancy.kcp.io exports workspacetypes", "tenancy.kcp.io exports workspaceauthenticationconfigurations",
		"topology.kcp.io exports partitions", "topology.kcp.io exports partitionsets", "shards.core.kcp.io exports shards",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAll_HostVersions(t *testing.T) {
	t.Parallel()
	got := map[string][]string{}
	var order []string
	for _, served := range All.HostVersions() {
		got[served.String()] = served.Kinds
		order = append(order, served.String())
	}
	want := map[string][]string{
		"annex.dev/v1alpha1":       {"APIChangeReport", "APIExportRollout", "APIStorageMigration", "AccessExplanation", "HostBinding", "WhoCanReview", "WorkspaceAccess", "WorkspaceClaim", "WorkspaceClass"},
		"apis.kcp.io/v1alpha2":     {"APIBinding", "APIExport"},
		"apis.kcp.io/v1alpha1":     {"APIBinding", "APIConversion", "APIExport", "APIExportEndpointSlice", "APIResourceSchema"},
		"core.kcp.io/v1alpha1":     {"LogicalCluster", "Shard"},
		"tenancy.kcp.io/v1alpha1":  {"Workspace", "WorkspaceAuthenticationConfiguration", "WorkspaceType"},
		"topology.kcp.io/v1alpha1": {"Partition", "PartitionSet"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if wantOrder := []string{
		"annex.dev/v1alpha1", "apis.kcp.io/v1alpha2", "apis.kcp.io/v1alpha1", "core.kcp.io/v1alpha1", "tenancy.kcp.io/v1alpha1", "topology.kcp.io/v1alpha1",
	}; !slices.Equal(order, wantOrder) {
		t.Errorf("order %v, want %v", order, wantOrder)
	}
}

func TestAll_IsReserved(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		group   string
		cluster logicalcluster.Name
		want    bool
	}{
		{"tenancy.kcp.io", "abc", true},
		{"tenancy.kcp.io", "root", false},
		{"topology.kcp.io", "abc", true},
		{"cache.kcp.io", "abc", true},
		{"cache.kcp.io", "root", true},
		{"core.kcp.io", "abc", true},
		{"core.kcp.io", "root", false},
		{"x.core.kcp.io", "abc", false},
		{"apis.kcp.io", "abc", true},
		{"apis.kcp.io", "root", true},
		{"internal.apis.kcp.io", "root", true},
		{"myapis.kcp.io", "abc", false},
		{"annex.dev", "root", true},
		{"x.annex.dev", "abc", true},
		{"annex.dev", "system:admin", false},
		{"apis.kcp.io", "system:bound-crds", false},
		{"apps", "abc", false},
		{"example.com", "abc", false},
		{"rbac.authorization.k8s.io", "abc", false},
	} {
		if got := All.IsReserved(tt.group, tt.cluster); got != tt.want {
			t.Errorf("%s in %s: reserved %v, want %v", tt.group, tt.cluster, got, tt.want)
		}
	}
}

func TestTable_Check(t *testing.T) {
	t.Parallel()
	table := NewTable(Group{Name: "a.dev", Rows: []Row{{Resource: "toys", Versions: []string{"v2", "v1"}, Object: &corev1.ConfigMap{}}}})
	storage := rest.Storage(nil)
	for name, tt := range map[string]struct {
		groups []*group.Group
		want   []string
	}{
		"right": {groups: []*group.Group{{Name: "a.dev", Versions: map[string]map[string]rest.Storage{
			"v2": {"toys": storage, "toys/status": storage}, "v1": {"toys": storage},
		}}}},
		"a version without storage": {
			[]*group.Group{{Name: "a.dev", Versions: map[string]map[string]rest.Storage{"v2": {"toys": storage}}}},
			[]string{"toys.a.dev has a row in the table of kinds, but no storage in v1"},
		},
		"storage without a row": {
			[]*group.Group{{Name: "a.dev", Versions: map[string]map[string]rest.Storage{
				"v2": {"toys": storage, "games": storage}, "v1": {"toys": storage}, "v0": {"toys": storage},
			}}},
			[]string{"games in a.dev/v2 has storage, but no row", "toys in a.dev/v0 has storage, but no row"},
		},
	} {
		err := table.Check(tt.groups)
		if (err == nil) != (len(tt.want) == 0) {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", name, err, want)
			}
		}
	}
}
