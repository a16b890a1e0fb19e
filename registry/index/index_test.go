package index

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

func workspace(parent logicalcluster.Name, name, cluster string) *tenancyv1alpha1.Workspace {
	return clienttest.In(parent, &tenancyv1alpha1.Workspace{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       tenancyv1alpha1.WorkspaceSpec{Cluster: cluster},
	})
}

func logicalCluster(name logicalcluster.Name, path string) *corev1alpha1.LogicalCluster {
	lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: corev1alpha1.LogicalClusterName}}
	if path != "" {
		lc.Annotations = map[string]string{logicalcluster.PathAnnotationKey: path}
	}
	lc.Status.Phase = corev1alpha1.LogicalClusterPhaseReady
	return clienttest.In(name, lc)
}

// always is a Fresh for caches that are never behind; unless it holds an error, which it gives.
type always struct{ err error }

func (a always) Wait(context.Context) (uint64, error) { return 1, a.err }

func newIndex(cached client.Reader) *Index {
	return New(Config{Paths: NewPaths(), Cached: cached, Fresh: always{}, Switched: func(context.Context, logicalcluster.Name) {}, Gone: func(logicalcluster.Name) {}})
}

// fed returns an index that holds objects as if a watch had delivered them, and for a second look finds what is in cached.
func fed(tb testing.TB, cached client.Reader, objects ...client.Object) *Index {
	tb.Helper()
	i := newIndex(cached)
	feed(tb, i, objects...)
	return i
}

func feed(tb testing.TB, i *Index, objects ...client.Object) {
	tb.Helper()
	i.handleWorkspace(client.Event{Type: client.Reset})
	i.handleLogicalCluster(tb.Context(), client.Event{Type: client.Reset})
	for _, obj := range objects {
		i.handleWorkspace(client.Event{Type: client.Added, Object: obj})
		i.handleLogicalCluster(tb.Context(), client.Event{Type: client.Added, Object: obj})
	}
	i.handleWorkspace(client.Event{Type: client.Synced})
	i.handleLogicalCluster(tb.Context(), client.Event{Type: client.Synced})
}

func tree() []client.Object {
	return []client.Object{
		logicalCluster("root", "root"),
		workspace("root", "org", "orgid"), logicalCluster("orgid", "root:org"),
		workspace("orgid", "team", "teamid"), logicalCluster("teamid", "root:org:team"),
		workspace("root", "alias", "teamid"),
		workspace("root", "pending", ""),
		logicalCluster("bare", ""),
		logicalCluster("v1u4alow0iv9", "user:alice"), workspace("v1u4alow0iv9", "hers", "hersid"), logicalCluster("hersid", "user:alice:hers"),
		logicalCluster("2okdry95y5lkv", "root:squatter"), // the name of bob's home
	}
}

func TestIndex_Resolve(t *testing.T) {
	i := fed(t, clienttest.NewFake(tree()...), tree()...)
	for path, want := range map[logicalcluster.Path]logicalcluster.Name{
		"root":                "root",
		"root:org":            "orgid",
		"root:org:team":       "teamid",
		"orgid":               "orgid",
		"orgid:team":          "teamid",
		"root:alias":          "teamid",
		"teamid":              "teamid",
		"bare":                "bare",
		"user:alice":          "v1u4alow0iv9",
		"user:alice:hers":     "hersid",
		"v1u4alow0iv9":        "v1u4alow0iv9",
		"v1u4alow0iv9:hers":   "hersid",
		"user:alice:nothing":  "",
		"user:bob":            "",
		"user:bob:x":          "",
		"user:carol":          "",
		"user":                "",
		"root:user:alice":     "",
		"system:admin":        "system:admin",
		"system:bound-crds":   "system:bound-crds",
		"":                    "",
		"*":                   "",
		"root:pending":        "",
		"root:nobody":         "",
		"root:nobody:team":    "",
		"nobody":              "",
		"nobody:team":         "",
		"team":                "",
		"org:team":            "",
		"root:org:team:below": "",
		"system:unheard-of":   "",
		"x":                   "",
		"x:y":                 "",
	} {
		got, found, err := i.Resolve(t.Context(), path)
		if err != nil || got != want || found != (want != "") {
			t.Errorf("Resolve(%q) = %q, %v, %v; want %q", path, got, found, err, want)
		}
	}
	for name, want := range map[logicalcluster.Name]logicalcluster.Path{
		"root": "root", "teamid": "root:org:team", "bare": "bare", "system:admin": "system:admin", "nobody": "",
	} {
		if got, found := i.PathOf(name); got != want || found != (want != "") {
			t.Errorf("PathOf(%q) = %q, %v; want %q", name, got, found, want)
		}
	}
}

func TestIndex_NotReadyUntilFilled(t *testing.T) {
	i := newIndex(clienttest.NewFake())
	if _, _, err := i.Resolve(t.Context(), "root"); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("Resolve before the first fill: %v, want ServiceUnavailable", err)
	}
	if _, _, err := i.Phase(t.Context(), "root"); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("Phase before the first fill: %v, want ServiceUnavailable", err)
	}
}

func TestIndex_SecondLookFindsWhatTheWatchHasNotDelivered(t *testing.T) {
	i := fed(t, clienttest.NewFake(tree()...))
	if got, found, err := i.Resolve(t.Context(), "root:org:team"); err != nil || !found || got != "teamid" {
		t.Errorf("Resolve = %q, %v, %v; want teamid", got, found, err)
	}
	if phase, found, err := i.Phase(t.Context(), "teamid"); err != nil || !found || phase != "Ready" {
		t.Errorf("Phase = %q, %v, %v; want Ready", phase, found, err)
	}
}

func TestIndex_SecondLookThatFailsIsAnError(t *testing.T) {
	broken := clienttest.NewFake()
	broken.Intercept(func(string, schema.GroupResource, client.Key) error { return errors.New("etcd is away") })
	behind := fed(t, clienttest.NewFake(), tree()...)
	behind.Fresh = always{errors.New("etcd is away")}
	for name, i := range map[string]*Index{"reading fails": fed(t, broken, tree()...), "waiting fails": behind} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []logicalcluster.Path{"root:nobody", "nobody"} {
				if _, _, err := i.Resolve(t.Context(), path); err == nil {
					t.Errorf("%s: a failed look counted as a miss", path)
				}
			}
			if _, _, err := i.PhaseNow(t.Context(), "teamid"); err == nil {
				t.Error("an old phase counted as that of now")
			}
			if _, found, err := i.Resolve(t.Context(), "root:org"); err != nil || !found {
				t.Errorf("a hit needs no look: %v, %v", found, err)
			}
		})
	}
}

// awaited is a Fresh that lets a cache catch up.
type awaited func()

func (a awaited) Wait(context.Context) (uint64, error) { a(); return 1, nil }

func TestIndex_WaitsBeforeAMissCounts(t *testing.T) {
	cached := clienttest.NewFake()
	i := fed(t, cached)
	i.Fresh = awaited(func() {
		for _, obj := range []client.Object{workspace("root", "late", "lateid"), logicalCluster("lateid", "root:late")} {
			gr := workspaces
			if _, is := obj.(*corev1alpha1.LogicalCluster); is {
				gr = logicalClusters
			}
			if _, err := cached.Create(t.Context(), gr, logicalcluster.From(obj), obj); err != nil && !apierrors.IsAlreadyExists(err) {
				t.Error(err)
			}
		}
	})
	if got, found, err := i.Resolve(t.Context(), "root:late"); err != nil || !found || got != "lateid" {
		t.Errorf("Resolve = %q, %v, %v; want lateid", got, found, err)
	}
	if phase, found, err := i.Phase(t.Context(), "lateid"); err != nil || !found || phase != "Ready" {
		t.Errorf("Phase = %q, %v, %v; want Ready", phase, found, err)
	}
}

func TestIndex_PhaseNowPassesWhatTheWatchHasNotDelivered(t *testing.T) {
	old := logicalCluster("teamid", "root:org:team")
	old.Status.Phase = corev1alpha1.LogicalClusterPhaseScheduling
	i := fed(t, clienttest.NewFake(tree()...), old)
	if phase, found, err := i.PhaseNow(t.Context(), "teamid"); err != nil || !found || phase != "Ready" {
		t.Errorf("PhaseNow = %q, %v, %v; want Ready", phase, found, err)
	}
	if phase, _, _ := i.Phase(t.Context(), "teamid"); phase != "Scheduling" {
		t.Errorf("Phase = %q, want what the watch has delivered", phase)
	}
	if phase, found, err := i.PhaseNow(t.Context(), "system:admin"); err != nil || !found || phase != "Ready" {
		t.Errorf("PhaseNow of the server's own = %q, %v, %v", phase, found, err)
	}
}

func TestIndex_RunFollowsChanges(t *testing.T) {
	objects := clienttest.NewFake(tree()...)
	i := newIndex(objects)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- i.Run(ctx) }()
	until(t, "the index is filled", func() bool { return i.Ready() == nil })

	if _, err := objects.Create(ctx, workspaces, "teamid", workspace("teamid", "new", "newid")); err != nil {
		t.Fatal(err)
	}
	resolves := func(path logicalcluster.Path) bool {
		_, found, err := i.Resolve(ctx, path)
		return err == nil && found
	}
	until(t, "the new workspace resolves", func() bool { return resolves("root:org:team:new") })
	if err := objects.Delete(ctx, workspaces, client.Key{Cluster: "teamid", Name: "new"}, nil); err != nil {
		t.Fatal(err)
	}
	until(t, "the deleted workspace is gone", func() bool { return !resolves("root:org:team:new") })
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run returned %v", err)
	}
}

func TestIndex_RebuildForgetsWhatTheWatchMissed(t *testing.T) {
	i := fed(t, clienttest.NewFake(), tree()...)
	i.handleWorkspace(client.Event{Type: client.Reset})
	if _, found, _ := i.Resolve(t.Context(), "root:org"); !found {
		t.Error("the old index does not serve during a rebuild")
	}
	i.handleWorkspace(client.Event{Type: client.Synced})
	if _, found, _ := i.Resolve(t.Context(), "root:org"); found {
		t.Error("what was deleted while the watch was away is still there")
	}
}

func TestIndex_TellsOfClustersThatAreGone(t *testing.T) {
	i := fed(t, clienttest.NewFake(tree()...), tree()...)
	var gone []logicalcluster.Name
	i.Gone = func(name logicalcluster.Name) { gone = append(gone, name) }
	i.handleLogicalCluster(t.Context(), client.Event{Type: client.Modified, Object: logicalCluster("orgid", "root:org")})
	i.handleLogicalCluster(t.Context(), client.Event{Type: client.Deleted, Object: logicalCluster("teamid", "root:org:team")})
	if !slices.Equal(gone, []logicalcluster.Name{"teamid"}) {
		t.Errorf("told of %q", gone)
	}
}

func TestIndex_TellsOfClustersThatAreSwitchedOff(t *testing.T) {
	off := func(name logicalcluster.Name) client.Object {
		lc := logicalCluster(name, "")
		lc.Status.Phase = corev1alpha1.LogicalClusterPhaseInactive
		return lc
	}
	i := fed(t, clienttest.NewFake(tree()...), tree()...)
	var told []logicalcluster.Name
	var known []bool // whether it was known to be off when it was told
	i.Switched = func(_ context.Context, name logicalcluster.Name) {
		told = append(told, name)
		known = append(known, i.Inactive(name))
	}
	expect := func(what string, want ...logicalcluster.Name) {
		t.Helper()
		if !slices.Equal(told, want) {
			t.Errorf("%s: told of %q, want %q", what, told, want)
		}
		told = nil
	}
	i.handleLogicalCluster(t.Context(), client.Event{Type: client.Modified, Object: logicalCluster("teamid", "root:org:team")})
	expect("a change that switches nothing off")
	i.handleLogicalCluster(t.Context(), client.Event{Type: client.Modified, Object: off("teamid")})
	expect("switched off", "teamid")
	if !slices.Equal(known, []bool{true}) {
		t.Error("it is told before it is known")
	}
	if !i.Inactive("teamid") || i.Inactive("orgid") || i.Inactive("nobody") {
		t.Errorf("inactive: %v, another: %v, nobody: %v", i.Inactive("teamid"), i.Inactive("orgid"), i.Inactive("nobody"))
	}
	// The watch may have missed it.
	feed(t, i, append(tree(), off("orgid"))...)
	if !slices.Contains(told, "") || !i.Inactive("orgid") {
		t.Errorf("a rebuild tells of %q, and orgid is inactive: %v", told, i.Inactive("orgid"))
	}
	told = nil
	i.handleLogicalCluster(t.Context(), client.Event{Type: client.Modified, Object: logicalCluster("orgid", "root:org")})
	expect("switched on again", "orgid")
	if i.Inactive("orgid") {
		t.Error("still off")
	}
}

func TestIndex_MemoryPerWorkspace(t *testing.T) {
	const n, limit = 20_000, 600
	objects := make([]client.Object, 0, 2*n)
	for k := range n {
		id := fmt.Sprintf("%016x", k)
		objects = append(objects, workspace("root", fmt.Sprintf("workspace-%d", k), id),
			logicalCluster(logicalcluster.Name(id), fmt.Sprintf("root:workspace-%d", k)))
	}
	before := heap()
	i := fed(t, nil, objects...)
	after := heap()
	perWorkspace := (int64(after) - int64(before)) / n
	t.Logf("%d bytes for each workspace", perWorkspace)
	if perWorkspace > limit {
		t.Errorf("the index costs %d bytes for each workspace, want at most %d", perWorkspace, limit)
	}
	runtime.KeepAlive(i)
	runtime.KeepAlive(objects)
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// FuzzIndex_Events checks that whatever order events come in, the index answers as a plain list of the objects would.
func FuzzIndex_Events(f *testing.F) {
	f.Add(uint64(1), 100)
	f.Add(uint64(42), 1000)
	f.Fuzz(func(t *testing.T, seed uint64, steps int) {
		random := rand.New(rand.NewPCG(seed, 7))
		names := []logicalcluster.Name{"root", "aa", "bb", "cc"}
		truth := map[child]logicalcluster.Name{}
		i := fed(t, clienttest.NewFake())
		for range min(max(steps, 0), 2000) {
			key := child{parent: names[random.IntN(len(names))], name: string(names[random.IntN(len(names))])}
			target := names[random.IntN(len(names))]
			ws := workspace(key.parent, key.name, string(target))
			switch random.IntN(5) {
			case 0:
				delete(truth, key)
				i.handleWorkspace(client.Event{Type: client.Deleted, Object: ws})
			case 1:
				i.handleWorkspace(client.Event{Type: client.Reset})
				for k, v := range truth {
					i.handleWorkspace(client.Event{Type: client.Added, Object: workspace(k.parent, k.name, string(v))})
				}
				i.handleWorkspace(client.Event{Type: client.Synced})
			default:
				truth[key] = target
				i.handleWorkspace(client.Event{Type: client.Modified, Object: ws})
			}
		}
		for _, a := range names {
			for _, b := range names {
				for _, c := range names {
					want, ok := truth[child{"root", string(a)}]
					for _, segment := range []logicalcluster.Name{b, c} {
						if ok {
							want, ok = truth[child{want, string(segment)}]
						}
					}
					path := logicalcluster.Path("root").Join(string(a)).Join(string(b)).Join(string(c))
					got, found, err := i.Resolve(t.Context(), path)
					if err != nil || found != ok || (ok && got != want) {
						t.Fatalf("Resolve(%s) = %q, %v, %v; want %q, %v", path, got, found, err, want, ok)
					}
				}
			}
		}
	})
}

// FuzzIndex_Resolve checks that no path breaks the index or leads anywhere it should not.
func FuzzIndex_Resolve(f *testing.F) {
	for _, path := range []string{"root:org", ":", "::", "root:", ":root", "*", "system:", "system:admin:x", "ROOT", "root:..", "a/b"} {
		f.Add(path)
	}
	i := fed(f, clienttest.NewFake(tree()...), tree()...)
	f.Fuzz(func(t *testing.T, path string) {
		name, found, err := i.Resolve(t.Context(), logicalcluster.Path(path))
		if err != nil {
			t.Fatalf("Resolve(%q): %v", path, err)
		}
		if _, valid := logicalcluster.ParseName(string(name)); found && valid != nil {
			t.Fatalf("Resolve(%q) found %q, which is no name", path, name)
		}
	})
}

// until fails the test unless condition becomes true within two minutes.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) {
		return condition(), nil
	})
	if err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}

// While a watch starts again, what it shows does not count yet, and neither does a switch.
func TestIndex_ASwitchThatAWatchMissedCountsWhenItIsSynced(t *testing.T) {
	i := fed(t, clienttest.NewFake(), logicalCluster("orgid", "root:org"))
	off := logicalCluster("orgid", "root:org")
	off.ResourceVersion, off.Status.Phase = "7", corev1alpha1.LogicalClusterPhaseInactive
	i.handleLogicalCluster(t.Context(), client.Event{Type: client.Reset})
	i.handleLogicalCluster(t.Context(), client.Event{Type: client.Added, Object: off})
	if version := i.Paths.Switched(); version != 0 || i.Inactive("orgid") {
		t.Errorf("before: switched at %d, and off: %v", version, i.Inactive("orgid"))
	}
	i.handleLogicalCluster(t.Context(), client.Event{Type: client.Synced})
	if version := i.Paths.Switched(); version != 7 || !i.Inactive("orgid") {
		t.Errorf("after: switched at %d, and off: %v", version, i.Inactive("orgid"))
	}
}

// A mounted Workspace is a leaf of the tree, found in memory or by a second look.
func TestIndex_Mounted(t *testing.T) {
	mounted := func(parent logicalcluster.Name, name string) client.Object {
		ws := workspace(parent, name, "")
		ws.Spec.Mount = &tenancyv1alpha1.Mount{}
		return ws
	}
	objects := append(tree(), mounted("orgid", "m"), mounted("v1u4alow0iv9", "m"))
	late := mounted("orgid", "late")
	i := fed(t, clienttest.NewFake(append(objects, late)...), objects...)
	for path, want := range map[logicalcluster.Path]string{
		"root:org:m": "orgid m", "orgid:m": "orgid m", "user:alice:m": "v1u4alow0iv9 m", "root:org:late": "orgid late",
		"root:org:m:below": "", "root:org:m:m": "", "root:m": "", "m": "", "root:pending": "", "root:org": "", "nobody:m": "", "root:nobody:m": "", "*": "", "": "", "system:m": "",
	} {
		if name, found, err := i.Resolve(t.Context(), path); err != nil || found && want != "" {
			t.Errorf("%s is the cluster %q, %v", path, name, err)
		}
		parent, name, ok, err := i.Mounted(t.Context(), path)
		if got := strings.TrimSpace(parent.String() + " " + name); err != nil || ok != (want != "") || ok && got != want {
			t.Errorf("%s is mounted as %q: %t, %v; want %q", path, got, ok, err, want)
		}
	}
	i.handleWorkspace(client.Event{Type: client.Deleted, Object: mounted("orgid", "m")})
	i.Cached = clienttest.NewFake(tree()...)
	if _, _, ok, err := i.Mounted(t.Context(), "root:org:m"); ok || err != nil {
		t.Errorf("it is mounted after its deletion: %t, %v", ok, err)
	}
}

// A Workspace has lost its logical cluster only if it says so itself, and what is below it is found as before.
func TestIndex_Lost(t *testing.T) {
	unavailable := func(name, cluster string) *tenancyv1alpha1.Workspace {
		ws := workspace("orgid", name, cluster)
		ws.Status.Phase = corev1alpha1.LogicalClusterPhaseUnavailable
		return ws
	}
	mounted := unavailable("mounted", "")
	mounted.Spec.Mount = &tenancyv1alpha1.Mount{}
	objects := append(tree(), unavailable("lost", "lostid"), mounted, workspace("lostid", "below", "belowid"))
	i := fed(t, clienttest.NewFake(objects...), objects...)
	for path, want := range map[logicalcluster.Path]bool{
		"root:org:lost": true, "orgid:lost": true, "root:org:lost:below": false, "root:org:mounted": false, "root:org": false, "root": false, "lostid": false,
		"root:nobody:lost": false, "*": false, "": false,
	} {
		if parent, name, ok, err := i.Lost(t.Context(), path); err != nil || ok != want || ok && (parent != "orgid" || name != "lost") {
			t.Errorf("%s: %s %s, lost: %t, %v", path, parent, name, ok, err)
		}
	}
	back := unavailable("lost", "lostid")
	back.Status.Phase = corev1alpha1.LogicalClusterPhaseReady
	i.handleWorkspace(client.Event{Type: client.Modified, Object: back})
	if _, _, ok, err := i.Lost(t.Context(), "root:org:lost"); ok || err != nil {
		t.Errorf("it is lost after it came back: %t, %v", ok, err)
	}
	if name, found, err := i.Resolve(t.Context(), "root:org:lost"); name != "lostid" || !found || err != nil {
		t.Errorf("it is %s: %t, %v", name, found, err)
	}
}
