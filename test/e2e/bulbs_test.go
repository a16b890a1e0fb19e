package e2e

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
)

// bulbs is a chart with a CRD, lookups, and a ConfigMap for each hook. It writes the revision into the hook's ConfigMap.
const bulbs = "testdata/bulbs"

func TestHelm_WhatChartsDo(t *testing.T) {
	server := annex.Start(t)
	for i, tc := range []struct {
		name string
		test func(t *testing.T, server *annex.Server, workspace string)
	}{
		{"hooks, lookups and revisions", helmRevisions},
		{"an upgrade that fails is rolled back", helmRollsBack},
		{"a release of half a megabyte", helmLargeRelease},
		{"three releases at the same time", helmInParallel},
		{"templates for kubectl", helmTemplate},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := server.For(t)
			workspace, _ := server.NewWorkspace("root", fmt.Sprintf("helm-%d", i), "")
			tc.test(t, server, workspace)
		})
	}
}

func helmRevisions(t *testing.T, server *annex.Server, workspace string) {
	get := func(object, path string) string {
		return server.Kubectl(workspace, "", "get", object, "-o", "jsonpath="+path, "--ignore-not-found")
	}
	// A dry run makes no CRD, so what it looks up must be there.
	server.Kubectl(workspace, "", "apply", "-f", bulbs+"/crds/bulbs.yaml")
	server.Kubectl(workspace, "", "wait", "--for=condition=Established", "crd/bulbs.garden.example.com", "--timeout=120s")
	contains(t, "dry run", server.Helm(workspace, "install", "tulips", bulbs, "--dry-run=server"), "kind: Bulb", "2 bulbs are planted")
	if out := get("configmap/tulips-seed", "{.data}"); out != "" {
		t.Errorf("a dry run leaves %s", out)
	}
	contains(t, "install", server.Helm(workspace, "install", "tulips", bulbs, "--wait", "--timeout", "2m"), "STATUS: deployed", "2 bulbs are planted in default")
	seed := get("configmap/tulips-seed", "{.data.seed}")
	contains(t, "the hook after the installation", get("configmap/tulips-post-install", "{.data.revision}"), "1")
	contains(t, "test", server.Helm(workspace, "test", "tulips", "--timeout", "2m"), "tulips-test", "Succeeded")
	contains(t, "the hook of the test", get("configmap/tulips-test", "{.data.revision}"), "1")
	server.Helm(workspace, "upgrade", "tulips", bulbs, "--set", "count=5", "--wait", "--timeout", "2m")
	if now := get("configmap/tulips-seed", "{.data.seed}"); now != seed || seed == "" {
		t.Errorf("the chart looks up its seed %q and finds %q", seed, now)
	}
	contains(t, "a lookup of a list", get("configmap/tulips-seed", "{.data.bulbs}"), "1")
	contains(t, "the hook before the upgrade", get("configmap/tulips-pre-upgrade", "{.data.revision}"), "2")

	first, second := server.Helm(workspace, "get", "manifest", "tulips", "--revision", "1"), server.Helm(workspace, "get", "manifest", "tulips", "--revision", "2")
	contains(t, "the first revision", first, "count: 2")
	contains(t, "the second revision", second, "count: 5")
	contains(t, "get values", server.Helm(workspace, "get", "values", "tulips"), "count: 5")
	contains(t, "get hooks", server.Helm(workspace, "get", "hooks", "tulips"), "tulips-pre-rollback")
	contains(t, "get metadata", server.Helm(workspace, "get", "metadata", "tulips"), "CHART: bulbs", "REVISION: 2")
	contains(t, "get all", server.Helm(workspace, "get", "all", "tulips"), "STATUS: deployed", "tulips-seed")
	server.Helm(workspace, "rollback", "tulips", "1", "--wait", "--timeout", "2m")
	contains(t, "the hook before the rollback", get("configmap/tulips-pre-rollback", "{.data.revision}"), "1")
	contains(t, "after the rollback", get("bulb/tulips", "{.spec.count}"), "2")
	contains(t, "history", server.Helm(workspace, "history", "tulips"), "superseded", "Rollback to 1")
	server.Helm(workspace, "uninstall", "tulips", "--keep-history", "--wait", "--timeout", "2m")
	contains(t, "the hook before the deletion, as it was in the first revision", get("configmap/tulips-pre-delete", "{.data.revision}"), "1")
	contains(t, "history of what is gone", server.Helm(workspace, "history", "tulips"), "uninstalled")
	if out := server.Kubectl(workspace, "", "get", "bulbs", "-o", "name"); out != "" {
		t.Errorf("uninstall leaves %s", out)
	}
	server.Helm(workspace, "rollback", "tulips", "2", "--wait", "--timeout", "2m")
	contains(t, "what came back", get("bulb/tulips", "{.spec.count}"), "5")
}

func helmRollsBack(t *testing.T, server *annex.Server, workspace string) {
	server.Helm(workspace, "install", "crocuses", bulbs, "--wait", "--timeout", "2m")
	// The schema wants at least one.
	out, stderr, err := server.TryHelm(workspace, "upgrade", "crocuses", bulbs, "--set", "count=0", "--rollback-on-failure", "--timeout", "2m")
	if err == nil {
		t.Fatalf("an invalid object is installed: %s", out)
	}
	contains(t, "the upgrade", out+stderr, "spec.count", "should be greater than or equal to 1")
	contains(t, "the history", server.Helm(workspace, "history", "crocuses"), "failed", "Rollback to 1", "deployed")
	contains(t, "the object", server.Kubectl(workspace, "", "get", "bulb", "crocuses", "-o", "jsonpath={.spec.count}"), "2")
	out, stderr, err = server.TryHelm(workspace, "install", "broken", bulbs, "--set", "count=0", "--rollback-on-failure", "--timeout", "2m")
	if err == nil {
		t.Fatalf("an invalid object is installed: %s", out)
	}
	if left := server.Kubectl(workspace, "", "get", "secrets,configmaps", "-o", "name"); strings.Contains(left, "broken-seed") || strings.Contains(left, "release.v1.broken") {
		t.Errorf("an installation that failed leaves %s\n%s", left, stderr)
	}
	_, stderr, err = server.TryHelm(workspace, "upgrade", "nobody", bulbs)
	if err == nil {
		t.Error("a release that is not there is upgraded")
	}
	contains(t, "no release", stderr, `"nobody" has no deployed releases`)
}

func helmLargeRelease(t *testing.T, server *annex.Server, workspace string) {
	const least = 500 << 10
	random := make([]byte, 210<<10)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	blob := filepath.Join(t.TempDir(), "blob")
	write(t, blob, base64.StdEncoding.EncodeToString(random))
	server.Helm(workspace, "install", "large", bulbs, "--set-file", "blob="+blob, "--wait", "--timeout", "2m")
	server.Helm(workspace, "upgrade", "large", bulbs, "--reuse-values", "--set", "count=3")
	server.Helm(workspace, "rollback", "large", "1")
	if size := len(server.Kubectl(workspace, "", "get", "secret", "sh.helm.release.v1.large.v3", "-o", "jsonpath={.data.release}")); size < least {
		t.Errorf("the Secret of the release has %d bytes, which is not large", size)
	}
	contains(t, "list", server.Helm(workspace, "list", "-A"), "large", "deployed")
	contains(t, "a large one", server.Helm(workspace, "get", "manifest", "large"), base64.StdEncoding.EncodeToString(random)[:1000])
	server.Helm(workspace, "uninstall", "large", "--wait", "--timeout", "2m")
}

// All of them want the CRD, and make it.
func helmInParallel(t *testing.T, server *annex.Server, workspace string) {
	names := []string{"tulips", "crocuses", "lilies"}
	var all sync.WaitGroup
	for _, name := range names {
		all.Go(func() {
			if out, stderr, err := server.TryHelm(workspace, "install", name, bulbs, "-n", name, "--create-namespace", "--wait", "--timeout", "2m"); err != nil {
				t.Errorf("installing %s: %v\n%s%s", name, err, out, stderr)
			}
		})
	}
	all.Wait()
	contains(t, "list", server.Helm(workspace, "list", "-A"), append(names, "deployed")...)
	if out := server.Kubectl(workspace, "", "get", "bulbs", "-A", "-o", "name"); strings.Count(out, "bulb.garden.example.com/") != len(names) {
		t.Errorf("there are %s", out)
	}
}

func helmTemplate(t *testing.T, server *annex.Server, workspace string) {
	manifests := server.Helm(workspace, "template", "tulips", bulbs, "--include-crds", "--no-hooks", "--set", "count=4")
	// The objects of the CRD come with it: kubectl finds their kind at the second attempt, as in every cluster.
	_, _, _ = server.TryKubectl(workspace, manifests, "apply", "-f", "-")
	server.Kubectl(workspace, "", "wait", "--for=condition=Established", "crd/bulbs.garden.example.com", "--timeout=120s")
	contains(t, "apply", server.Kubectl(workspace, manifests, "apply", "-f", "-"), "bulb.garden.example.com/tulips")
	contains(t, "what is applied", server.Kubectl(workspace, "", "get", "bulb", "tulips", "-o", "jsonpath={.spec.count}"), "4")
	if out := server.Kubectl(workspace, server.Helm(workspace, "template", "tulips", bulbs, "--no-hooks", "--set", "count=4", "--show-only", "templates/bulb.yaml"), "diff", "-f", "-"); out != "" {
		t.Errorf("what is applied differs: %s", out)
	}
}
