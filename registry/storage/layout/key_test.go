package layout

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

var (
	configMaps = schema.GroupResource{Resource: "configmaps"}
	widgets    = schema.GroupResource{Group: "example.com", Resource: "widgets"}
)

func target(ctx context.Context, cluster logicalcluster.Name) context.Context {
	return WithBucket(logicalcluster.WithCluster(ctx, cluster), LocalBucket)
}

var updateGolden = flag.Bool("update", false, "rewrite the golden files")

func TestKey_IsWrittenAsInTheGoldenFile(t *testing.T) {
	gr := func(group, resource string) schema.GroupResource {
		return schema.GroupResource{Group: group, Resource: resource}
	}
	const export = "8d2f7ac1c7e0b1f09a4c1b2f6f5f1a0a9b6a3c1d7e8f90a1b2c3d4e5f6071829"
	keys := []Key{
		{Resource: gr("", "namespaces"), Cluster: "root", Name: "default"},
		{Resource: gr("", "configmaps"), Cluster: "2f8kq1z0c7a9x3bd", Namespace: "default", Name: "kube-root-ca.crt"},
		{Resource: gr("rbac.authorization.k8s.io", "clusterroles"), Cluster: "system:admin", Name: "system:kcp:workspace:access"},
		{Resource: gr("rbac.authorization.k8s.io", "roles"), Cluster: "2f8kq1z0c7a9x3bd", Namespace: "kube-system", Name: "a:b"},
		{Resource: gr("tenancy.kcp.io", "workspaces"), Cluster: "root", Name: "org"},
		{Resource: gr("core.kcp.io", "logicalclusters"), Cluster: "2f8kq1z0c7a9x3bd", Name: "cluster"},
		{Resource: gr("coordination.k8s.io", "leases"), Cluster: "system:shard", Namespace: "kube-system", Name: "controllers"},
		{Resource: gr("apiextensions.k8s.io", "customresourcedefinitions"), Cluster: "system:bound-crds", Name: "5f0c0a52-5d30-4c3e-8a4a-3f1e1c3f7c11"},
		{Resource: gr("example.com", "widgets"), Custom: true, Bucket: LocalBucket, Cluster: "2f8kq1z0c7a9x3bd", Namespace: "default", Name: "w1"},
		{Resource: gr("example.com", "widgets"), Custom: true, Bucket: export, Cluster: "2f8kq1z0c7a9x3bd", Namespace: "default", Name: "w1"},
		{Resource: gr("stable.example.com", "crontabs"), Custom: true, Bucket: export, Cluster: "root", Name: "cluster-scoped"},
		{Resource: gr("cert-manager.io", "certificates"), Custom: true, Bucket: LocalBucket, Cluster: "root", Namespace: "ns", Name: "name"},
	}
	var got bytes.Buffer
	for _, k := range keys {
		got.WriteString(DefaultPrefix + k.String() + "\n")
	}
	golden := filepath.Join("testdata", "keys.txt")
	if *updateGolden {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("keys differ from %s, which existing data has; got:\n%s", golden, got.String())
	}
	for _, k := range keys {
		if back, err := Parse(k.String()); err != nil || back != k {
			t.Errorf("%s is read back as %+v, %v", k, back, err)
		}
	}
}

func TestParseKey_RefusesWhatIsNoKey(t *testing.T) {
	for _, s := range []string{
		"", "/", "core/configmaps/c/n", "/core/configmaps", "/core/configmaps/c", "/core/configmaps/c/", "/core//c/n",
		"/core/configmaps/c/../n", "/core/configmaps/./n", "/core/configmaps/c/ns/n/more",
		"/cr/0/example.com/widgets/crd/c", "/cr/99/example.com/widgets/crd/c/n", "/cr/x/example.com/widgets/crd/c/n",
		"/cr/11/example.com/widgets/crd/c/ns/n/more", "/core/configmaps/c/n\x00",
	} {
		if k, err := Parse(s); err == nil {
			t.Errorf("%q is read as %+v, want an error", s, k)
		}
	}
}

// FuzzParseKey holds that whatever is read as a key is written back the same, so that no two keys mean one object.
func FuzzParseKey(f *testing.F) {
	data, err := os.ReadFile(filepath.Join("testdata", "keys.txt"))
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		f.Add(strings.TrimPrefix(strings.TrimSpace(line), DefaultPrefix))
	}
	f.Add("/core/configmaps/c/../n")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := Parse(s)
		if err != nil {
			return
		}
		if k.String() != s {
			t.Errorf("%q is read as %+v, which is %q", s, k, k)
		}
	})
}

// FuzzBuildKey holds that what is built from names that pass the checks is read back as it was.
func FuzzBuildKey(f *testing.F) {
	f.Add("example.com", "widgets", "crd", "root", "default", "w1")
	f.Add("", "configmaps", "", "system:admin", "", "a:b")
	f.Fuzz(func(t *testing.T, group, resource, bucket, cluster, namespace, name string) {
		for _, s := range []string{group, resource, namespace, name} {
			if strings.ContainsAny(s, "/\x00") || s == "." || s == ".." {
				t.Skip()
			}
		}
		if resource == "" || name == "" || !ValidSegment(cluster) || group == CoreGroup || group == CustomRoot[1:] {
			t.Skip()
		}
		k := Key{Resource: schema.GroupResource{Group: group, Resource: resource}, Cluster: logicalcluster.Name(cluster), Namespace: namespace, Name: name}
		if bucket != "" {
			if !ValidSegment(bucket) || group == "" {
				t.Skip()
			}
			k.Custom, k.Bucket = true, bucket
		}
		if back, err := Parse(k.String()); err != nil || back != k {
			t.Errorf("%+v is written as %q and read back as %+v, %v", k, k, back, err)
		}
	})
}

func BenchmarkKey_OfTypedObject(b *testing.B) {
	l := Resource{Resource: configMaps, Root: TypedRoot(configMaps)}
	ctx := target(b.Context(), "2f8kq1z0c7a9x3bd")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.One(ctx, "get", "/core/configmaps/default/kube-root-ca.crt"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKey_OfCustomResource(b *testing.B) {
	l := Resource{Resource: widgets, Root: CustomResourceRoot(widgets), Custom: true}
	requested := l.Root + "/default/w1"
	ctx := target(b.Context(), "2f8kq1z0c7a9x3bd")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.One(ctx, "get", requested); err != nil {
			b.Fatal(err)
		}
	}
}
