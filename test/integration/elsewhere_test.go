package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/interleaving"
)

// apart are three etcds, and the flags by which a server uses all of them: the second one has Secrets and a half of the custom resources,
// the third one Leases and a part of the others. Gadgets and Widgets are in the last two.
type apart struct {
	etcds [3]*annex.Etcd
	flags []string
}

func startApart(t *testing.T) *apart {
	t.Helper()
	a := &apart{}
	for i := range a.etcds {
		a.etcds[i] = annex.StartEtcd(t)
	}
	overrides := []string{"/secrets#" + a.etcds[1].URL(), "coordination.k8s.io/leases#" + a.etcds[2].URL()}
	for shard := range 13 {
		etcd := a.etcds[1]
		if shard >= 8 {
			etcd = a.etcds[2]
		}
		overrides = append(overrides, fmt.Sprintf("cr/%d#%s", shard, etcd.URL()))
	}
	a.flags = []string{"--etcd-servers", a.etcds[0].URL(), "--etcd-servers-overrides", strings.Join(overrides, ",")}
	return a
}

// checkData fails the test if something is stored that belongs to nothing.
func (a *apart) checkData(tb testing.TB) {
	tb.Helper()
	if out, errs, code := annex.Run(tb, append([]string{"check", "data"}, a.flags...)...); code != 0 {
		tb.Errorf("annex check data ends with %d:\n%s%s", code, out, errs)
	}
}

// mentions returns the keys of each etcd that hold the word.
func (a *apart) mentions(word string) (all [3][]string) {
	for i, etcd := range a.etcds {
		all[i], _ = etcd.Mentions(word)
	}
	return all
}

func TestElsewhere(t *testing.T) {
	a := startApart(t)
	s := annex.Start(t, a.flags...)
	if out, errs, code := annex.Run(t, append([]string{"check", "etcd"}, a.flags...)...); code != 0 || strings.Count(out, "has what Annex needs") != 3 {
		t.Errorf("annex check etcd ends with %d:\n%s%s", code, out, errs)
	}
	for i, etcd := range a.etcds {
		if keys, _ := etcd.Mentions("/annex/version"); len(keys) != 1 {
			t.Errorf("etcd %d has no version", i)
		}
	}
	name := uniqueName("ws")
	path, cluster := newWorkspace(t, s, "root", name)
	config := s.Workspace(path)
	apply(t, config, gadgetCRD)
	typed, untyped := annex.Clients(t, config)
	ctx := t.Context()
	secrets := typed.CoreV1().Secrets("default")
	w, err := secrets.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if _, err := secrets.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if event := <-w.ResultChan(); event.Type != watch.Added {
		t.Errorf("the watch says %v", event)
	}
	annex.Eventually(t, func(context.Context) error {
		_, err := untyped.Resource(gadgets).Namespace("default").Create(ctx, parse(t, "apiVersion: example.org/v1\nkind: Gadget\nmetadata: {name: g, namespace: default, finalizers: [example.com/hold]}"), metav1.CreateOptions{})
		return err
	})
	if list, err := secrets.List(ctx, metav1.ListOptions{}); err != nil || len(list.Items) != 1 {
		t.Errorf("listing secrets: %v, %v", list, err)
	}
	if list, err := untyped.Resource(gadgets).List(ctx, metav1.ListOptions{}); err != nil || len(list.Items) != 1 {
		t.Errorf("listing gadgets: %v, %v", list, err)
	}
	found := a.mentions(cluster)
	has := func(etcd int, part string) bool {
		return slices.ContainsFunc(found[etcd], func(key string) bool { return strings.Contains(key, part) })
	}
	if has(0, "/secrets/") || !has(1, "/core/secrets/") || has(0, "/gadgets/") || !has(1, "/gates/") || has(0, "/gates/") {
		t.Errorf("the keys of the workspace are %q", found)
	}
	a.checkData(t)

	_, parent := annex.Clients(t, s.Workspace("root"))
	if err := parent.Resource(workspaces).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	release := []byte(`{"metadata":{"finalizers":null}}`)
	annex.Eventually(t, func(ctx context.Context) error {
		_, err := untyped.Resource(gadgets).Namespace("default").Patch(ctx, "g", "application/merge-patch+json", release, metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
			return err
		}
		if left := a.mentions(cluster); len(slices.Concat(left[:]...)) > 0 {
			return fmt.Errorf("keys are left: %q", left)
		}
		return nil
	})
	a.checkData(t)
}

func TestElsewhere_InterleavingsLeaveNothingBehind(t *testing.T) {
	a := startApart(t)
	var servers []*annex.Server
	for range 2 {
		servers = append(servers, annex.Start(t, append([]string{"--workspace-seats", "100", "--max-refusals-per-second=0"}, a.flags...)...))
	}
	interleaving.Config{Servers: servers, Check: a.checkData}.Run(t, *firstSeed, *interleavings)
}

// A server whose flags do not fit the data ends with one line.
func TestElsewhere_OtherFlagsAreRefused(t *testing.T) {
	a := startApart(t)
	annex.Start(t, a.flags...).Stop()
	for name, tc := range map[string]struct {
		flags []string
		want  string
	}{
		"no overrides": {a.flags[:2], "must be set, because "},
		"a part of it": {[]string{"--etcd-servers", a.etcds[1].URL()}, "has only a part of the data"},
		"exchanged etcds": {
			[]string{"--etcd-servers", a.etcds[0].URL(), "--etcd-servers-overrides", "/secrets#" + a.etcds[2].URL() + ",coordination.k8s.io/leases#" + a.etcds[1].URL()},
			"objects cannot be moved to another etcd",
		},
		"an owner":     {append(slices.Clone(a.flags), "--etcd-servers-overrides", "/namespaces#"+a.etcds[2].URL()), "other objects belong to these"},
		"the embedded": {a.flags[2:], "has no effect without --etcd-servers"},
	} {
		out, errs, code := annex.Run(t, append([]string{"serve", "--root-directory", t.TempDir(), "--bind-address", "127.0.0.1", "--secure-port", "0"}, tc.flags...)...)
		if line := strings.TrimSpace(errs); code == 0 || !strings.Contains(line, tc.want) || strings.Contains(line, "\n") {
			t.Errorf("%s: the server ends with %d:\n%s%s", name, code, out, errs)
		}
	}
}
