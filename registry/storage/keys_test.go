package storage

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

var updateGolden = flag.Bool("update", false, "rewrite the golden files")

func TestKey_IsWrittenAsInTheGoldenFile(t *testing.T) {
	gr := func(group, resource string) schema.GroupResource {
		return schema.GroupResource{Group: group, Resource: resource}
	}
	const export = "8d2f7ac1c7e0b1f09a4c1b2f6f5f1a0a9b6a3c1d7e8f90a1b2c3d4e5f6071829"
	keys := []key{
		{resource: gr("", "namespaces"), cluster: "root", name: "default"},
		{resource: gr("", "configmaps"), cluster: "2f8kq1z0c7a9x3bd", namespace: "default", name: "kube-root-ca.crt"},
		{resource: gr("rbac.authorization.k8s.io", "clusterroles"), cluster: "system:admin", name: "system:kcp:workspace:access"},
		{resource: gr("rbac.authorization.k8s.io", "roles"), cluster: "2f8kq1z0c7a9x3bd", namespace: "kube-system", name: "a:b"},
		{resource: gr("tenancy.kcp.io", "workspaces"), cluster: "root", name: "org"},
		{resource: gr("core.kcp.io", "logicalclusters"), cluster: "2f8kq1z0c7a9x3bd", name: "cluster"},
		{resource: gr("coordination.k8s.io", "leases"), cluster: "system:shard", namespace: "kube-system", name: "controllers"},
		{resource: gr("apiextensions.k8s.io", "customresourcedefinitions"), cluster: "system:bound-crds", name: "5f0c0a52-5d30-4c3e-8a4a-3f1e1c3f7c11"},
		{resource: gr("example.com", "widgets"), custom: true, bucket: LocalBucket, cluster: "2f8kq1z0c7a9x3bd", namespace: "default", name: "w1"},
		{resource: gr("example.com", "widgets"), custom: true, bucket: export, cluster: "2f8kq1z0c7a9x3bd", namespace: "default", name: "w1"},
		{resource: gr("stable.example.com", "crontabs"), custom: true, bucket: export, cluster: "root", name: "cluster-scoped"},
		{resource: gr("cert-manager.io", "certificates"), custom: true, bucket: LocalBucket, cluster: "root", namespace: "ns", name: "name"},
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
		if back, err := parseKey(k.String()); err != nil || back != k {
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
		if k, err := parseKey(s); err == nil {
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
		k, err := parseKey(s)
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
		if resource == "" || name == "" || !validSegment(cluster) || group == coreGroup || group == customRoot[1:] {
			t.Skip()
		}
		k := key{resource: schema.GroupResource{Group: group, Resource: resource}, cluster: logicalcluster.Name(cluster), namespace: namespace, name: name}
		if bucket != "" {
			if !validSegment(bucket) || group == "" {
				t.Skip()
			}
			k.custom, k.bucket = true, bucket
		}
		if back, err := parseKey(k.String()); err != nil || back != k {
			t.Errorf("%+v is written as %q and read back as %+v, %v", k, k, back, err)
		}
	})
}

func BenchmarkKey_OfTypedObject(b *testing.B) {
	l := layout{resource: configMaps, root: typedRoot(configMaps)}
	ctx := in(b.Context(), "2f8kq1z0c7a9x3bd")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.one(ctx, "get", "/core/configmaps/default/kube-root-ca.crt"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKey_OfCustomResource(b *testing.B) {
	l := layout{resource: widgets, root: customResourceRoot(widgets), custom: true}
	requested := l.root + "/default/w1"
	ctx := in(b.Context(), "2f8kq1z0c7a9x3bd")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.one(ctx, "get", requested); err != nil {
			b.Fatal(err)
		}
	}
}
