package view

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

var (
	configMaps = schema.GroupResource{Resource: "configmaps"}
	secrets    = schema.GroupResource{Resource: "secrets"}
)

// names is what the tests compile: the names of a cluster's configmaps, and the one in cluster "far" that each refers to.
type names struct{ all []string }

func compileNames(ctx context.Context, from client.Reader, cluster logicalcluster.Name) (*names, error) {
	objects, err := from.List(ctx, configMaps, client.Scope{Cluster: cluster})
	if err != nil {
		return nil, err
	}
	n := &names{}
	for _, obj := range objects {
		n.all = append(n.all, obj.GetName())
		if other := obj.GetLabels()["refers-to"]; other != "" {
			far, err := client.Find[corev1.ConfigMap](ctx, from, configMaps, client.Key{Cluster: "far", Namespace: "default", Name: other})
			if err != nil {
				return nil, err
			}
			if far != nil {
				n.all = append(n.all, "far "+far.Name)
			}
		}
	}
	return n, nil
}

func configMap(cluster logicalcluster.Name, name string) *corev1.ConfigMap {
	return clienttest.In(cluster, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}})
}

func referring(cluster logicalcluster.Name, name, to string) *corev1.ConfigMap {
	cm := configMap(cluster, name)
	cm.Labels = map[string]string{"refers-to": to}
	return cm
}

// counted is a view of names that counts what it compiles.
type counted struct {
	*View[*names]
	t    *testing.T
	fake *clienttest.Fake

	mu       sync.Mutex
	compiled map[logicalcluster.Name]int
	changed  []logicalcluster.Name
}

func newCounted(t *testing.T, adjust func(*Config[*names]), objects ...client.Object) *counted {
	c := &counted{t: t, fake: clienttest.NewFake(objects...), compiled: map[logicalcluster.Name]int{}}
	config := Config[*names]{
		Reader:    c.fake,
		Resources: []schema.GroupResource{configMaps},
		Compile: func(ctx context.Context, from client.Reader, cluster logicalcluster.Name) (*names, error) {
			c.mu.Lock()
			c.compiled[cluster]++
			c.mu.Unlock()
			return compileNames(ctx, from, cluster)
		},
		Timeout:  10 * time.Second,
		Size:     func(*names) int64 { return 100 },
		Capacity: 1 << 20,
		Changed: func(cluster logicalcluster.Name) {
			c.mu.Lock()
			c.changed = append(c.changed, cluster)
			c.mu.Unlock()
		},
	}
	if adjust != nil {
		adjust(&config)
	}
	c.View = New(config)
	return c
}

// run follows the watches and returns once they are in step.
func (c *counted) run() {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	c.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			c.t.Errorf("Run() = %v", err)
		}
	})
	eventually(c.t, c.InStep)
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) { return condition(), nil })
	if err != nil {
		t.Fatal("the condition never held")
	}
}

func (c *counted) get(cluster logicalcluster.Name) string {
	c.t.Helper()
	n, err := c.Get(c.t.Context(), cluster)
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.Join(n.all, ",")
}

func (c *counted) count(cluster logicalcluster.Name) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.compiled[cluster]
}

func (c *counted) create(obj *corev1.ConfigMap) {
	c.t.Helper()
	if _, err := c.fake.Create(c.t.Context(), configMaps, logicalcluster.From(obj), obj); err != nil {
		c.t.Fatal(err)
	}
}

// A cache for each cluster is one function.
func ExampleView() {
	counts := New(Config[int]{
		Reader:    clienttest.NewFake(configMap("a", "one"), configMap("a", "two"), configMap("b", "one")),
		Resources: []schema.GroupResource{configMaps},
		Compile: func(ctx context.Context, from client.Reader, cluster logicalcluster.Name) (int, error) {
			objects, err := from.List(ctx, configMaps, client.Scope{Cluster: cluster})
			return len(objects), err
		},
		Timeout:  time.Second,
		Size:     func(int) int64 { return 8 },
		Capacity: 1 << 20,
	})
	for _, cluster := range []logicalcluster.Name{"a", "b", "c"} {
		n, err := counts.Get(context.Background(), cluster)
		fmt.Println(cluster, n, err)
	}
	// Output:
	// a 2 <nil>
	// b 1 <nil>
	// c 0 <nil>
}

func TestView_OnlyTheClusterOfAnEventIsCompiledAnew(t *testing.T) {
	c := newCounted(t, nil, configMap("a", "one"), configMap("b", "one"))
	c.run()
	for range 3 {
		if got := c.get("a") + " " + c.get("b"); got != "one one" {
			t.Fatalf("got %q", got)
		}
	}
	c.create(configMap("a", "two"))
	eventually(t, func() bool { return c.get("a") == "one,two" })
	c.get("b")
	if c.count("a") != 2 || c.count("b") != 1 {
		t.Errorf("a was compiled %d times, b %d times, want 2 and 1", c.count("a"), c.count("b"))
	}
}

func TestView_AnObjectReadByKeyDropsItsReaders(t *testing.T) {
	c := newCounted(t, nil, referring("a", "one", "here"), referring("b", "one", "to-come"), configMap("far", "here"), configMap("far", "other"))
	c.run()
	if got := c.get("a") + " " + c.get("b"); got != "one,far here one" {
		t.Fatalf("got %q", got)
	}
	if err := c.fake.Delete(t.Context(), configMaps, client.Key{Cluster: "far", Namespace: "default", Name: "other"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.fake.Delete(t.Context(), configMaps, client.Key{Cluster: "far", Namespace: "default", Name: "here"}, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return c.get("a") == "one" })
	c.get("b")
	if c.count("a") != 2 || c.count("b") != 1 {
		t.Errorf("a was compiled %d times, b %d times, want 2 and 1", c.count("a"), c.count("b"))
	}
	c.create(configMap("far", "to-come"))
	eventually(t, func() bool { return c.get("b") == "one,far to-come" })
	c.mu.Lock()
	if !slices.Contains(c.changed, "a") || !slices.Contains(c.changed, "b") || !slices.Contains(c.changed, "far") {
		t.Errorf("reported %q", c.changed)
	}
	c.mu.Unlock()
	c.View.mu.Lock()
	defer c.View.mu.Unlock()
	for _, cluster := range []logicalcluster.Name{"a", "b"} {
		c.kept.remove(cluster)
	}
	if len(c.kept.readers) != 0 || len(c.kept.values) != 0 || c.kept.bytes != 0 {
		t.Errorf("something of what is gone stays: %v, %v, %d bytes", c.kept.readers, c.kept.values, c.kept.bytes)
	}
}

// An event on an object of another cluster overtakes who has read it and is not done.
func TestView_AnObjectReadByKeyOvertakesWhoIsReading(t *testing.T) {
	c := newCounted(t, nil, referring("a", "one", "here"), configMap("far", "here"))
	c.run()
	entered, proceed := stopOnce(c.fake, func(verb string, key client.Key) bool { return verb == "get" && key.Cluster == "far" })
	got := make(chan string)
	go func() { got <- c.get("a") }()
	<-entered
	if err := c.fake.Delete(t.Context(), configMaps, client.Key{Cluster: "far", Namespace: "default", Name: "here"}, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return !c.running() })
	close(proceed)
	if got := <-got; got != "one" || c.count("a") != 2 {
		t.Errorf("got %q, compiled %d times", got, c.count("a"))
	}
}

// stopOnce stops the first call that matches until proceed is closed; entered says that it has come.
func stopOnce(fake *clienttest.Fake, matches func(verb string, key client.Key) bool) (entered, proceed chan struct{}) {
	entered, proceed = make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	fake.Intercept(func(verb string, _ schema.GroupResource, key client.Key) error {
		if matches(verb, key) && once.CompareAndSwap(false, true) {
			close(entered)
			<-proceed
		}
		return nil
	})
	return entered, proceed
}

// running reports whether something is being compiled for cluster "a".
func (c *counted) running() bool {
	c.View.mu.Lock()
	defer c.View.mu.Unlock()
	return c.slots["a"] != nil
}

func TestView_RefusesWhatItCannotFollow(t *testing.T) {
	for name, compile := range map[string]func(context.Context, client.Reader) error{
		"a list of another cluster": func(ctx context.Context, from client.Reader) error {
			_, err := from.List(ctx, configMaps, client.Scope{Cluster: "b"})
			return err
		},
		"a list of all clusters": func(ctx context.Context, from client.Reader) error {
			_, err := from.List(ctx, configMaps, client.Scope{})
			return err
		},
		"a list of another resource": func(ctx context.Context, from client.Reader) error {
			_, err := from.List(ctx, secrets, client.Scope{Cluster: "a"})
			return err
		},
		"an object of another resource": func(ctx context.Context, from client.Reader) error {
			_, err := from.Get(ctx, secrets, client.Key{Cluster: "a", Namespace: "default", Name: "s"})
			return err
		},
		"a watch": func(ctx context.Context, from client.Reader) error {
			return from.Watch(ctx, configMaps, func(client.Event) {})
		},
	} {
		t.Run(name, func(t *testing.T) {
			secret := clienttest.In("a", &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "s"}})
			c := newCounted(t, func(config *Config[*names]) {
				config.Compile = func(ctx context.Context, from client.Reader, _ logicalcluster.Name) (*names, error) {
					return &names{}, compile(ctx, from)
				}
			}, secret)
			if _, err := c.Get(t.Context(), "a"); err == nil {
				t.Error("it was read")
			}
		})
	}
	c := newCounted(t, nil)
	if _, err := c.Get(t.Context(), ""); err == nil {
		t.Error("a value of no cluster")
	}
	c = newCounted(t, func(config *Config[*names]) { config.Reader = mixed{config.Reader} }, configMap("b", "one"))
	if _, err := c.Get(t.Context(), "a"); err == nil {
		t.Error("an object of another cluster was taken")
	}
}

// mixed answers lists with the objects of all clusters.
type mixed struct{ client.Reader }

func (m mixed) List(ctx context.Context, gr schema.GroupResource, _ client.Scope) ([]client.Object, error) {
	return m.Reader.List(ctx, gr, client.Scope{})
}

func TestView_KeepsNothingWhileAWatchIsOutOfStep(t *testing.T) {
	c := newCounted(t, func(config *Config[*names]) { config.Resources = append(config.Resources, secrets) }, configMap("a", "one"))
	compiles := func(want bool, when string) {
		t.Helper()
		c.get("a")
		before := c.count("a")
		c.get("a")
		if got := c.count("a") != before; got != want {
			t.Errorf("%s: compiled again: %t", when, got)
		}
	}
	compiles(true, "before the watches began")
	c.observe(configMaps, client.Event{Type: client.Reset})
	c.observe(configMaps, client.Event{Type: client.Synced})
	compiles(true, "one watch is in step")
	c.observe(secrets, client.Event{Type: client.Synced})
	compiles(false, "both are in step")
	c.observe(configMaps, client.Event{Type: client.Reset})
	compiles(true, "one starts over")
	c.observe(configMaps, client.Event{Type: client.Added, Object: configMap("a", "one")})
	c.observe(configMaps, client.Event{Type: client.Synced})
	compiles(false, "both are in step again")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Run(ctx); err != nil {
		t.Errorf("Run() = %v", err)
	}
	compiles(true, "the watches have ended")
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.changed, []logicalcluster.Name{"", "", ""}) {
		t.Errorf("reported %q, want all clusters after each of three resyncs", c.changed)
	}
}

func TestView_RunEndsWithAWatchThatCannotBeHad(t *testing.T) {
	broken := errors.New("no such resource")
	c := newCounted(t, func(config *Config[*names]) {
		config.Resources = append(config.Resources, secrets)
		config.Reader = failing{config.Reader, broken}
	})
	if err := c.Run(t.Context()); !errors.Is(err, broken) || !strings.Contains(err.Error(), "watching secrets") {
		t.Errorf("Run() = %v", err)
	}
	if c.InStep() {
		t.Error("in step without watches")
	}
}

// failing has no watch of secrets.
type failing struct {
	client.Reader
	err error
}

func (f failing) Watch(ctx context.Context, gr schema.GroupResource, handle func(client.Event)) error {
	if gr == secrets {
		return f.err
	}
	return f.Reader.Watch(ctx, gr, handle)
}

func TestView_WhatAnEventOvertookIsCompiledAgain(t *testing.T) {
	c := newCounted(t, nil, configMap("a", "one"))
	c.run()
	entered, proceed := stopOnce(c.fake, func(verb string, key client.Key) bool { return verb == "list" && key.Cluster == "a" })
	first := make(chan string)
	go func() { first <- c.get("a") }()
	<-entered
	c.create(configMap("a", "two"))
	eventually(t, func() bool { return !c.running() })
	// A call that comes after the event does not join what was being compiled before it.
	if got := c.get("a"); got != "one,two" {
		t.Errorf("after the event: %q", got)
	}
	close(proceed)
	if got := <-first; got != "one,two" {
		t.Errorf("overtaken: %q", got)
	}
	before := c.count("a")
	if got := c.get("a"); got != "one,two" || c.count("a") != before {
		t.Errorf("%q is not kept", got)
	}
}

func TestView_WhatIsOvertakenAgainAndAgainIsHandedOut(t *testing.T) {
	var c *counted
	c = newCounted(t, func(config *Config[*names]) {
		compile := config.Compile
		config.Compile = func(ctx context.Context, from client.Reader, cluster logicalcluster.Name) (*names, error) {
			n, err := compile(ctx, from, cluster)
			c.observe(configMaps, client.Event{Type: client.Modified, Object: configMap(cluster, "one")})
			return n, err
		}
	}, configMap("a", "one"))
	c.run()
	for i := 1; i <= 2; i++ {
		if got := c.get("a"); got != "one" || c.count("a") != i*attempts {
			t.Errorf("got %q, compiled %d times after %d calls", got, c.count("a"), i)
		}
	}
	if c.running() {
		t.Error("something is still being compiled")
	}
}

func TestView_CallsShareACompilation(t *testing.T) {
	c := newCounted(t, nil, configMap("a", "one"))
	c.run()
	entered, proceed := stopOnce(c.fake, func(verb string, _ client.Key) bool { return verb == "list" })
	var group sync.WaitGroup
	group.Go(func() { c.get("a") })
	<-entered
	ctx, cancel := context.WithCancelCause(t.Context())
	mine := errors.New("the client went away")
	cancel(mine)
	if _, err := c.Get(ctx, "a"); !errors.Is(err, mine) {
		t.Errorf("a call that is over: %v", err)
	}
	for range 20 {
		group.Go(func() { c.get("a") })
	}
	close(proceed)
	group.Wait()
	if n := c.count("a"); n != 1 {
		t.Errorf("compiled %d times", n)
	}
	if c.running() {
		t.Error("something is still being compiled")
	}
}

func TestView_NowSharesReadsThatBeginAfterTheCalls(t *testing.T) {
	c := newCounted(t, nil, configMap("a", "one"))
	entered, proceed := stopOnce(c.fake, func(verb string, _ client.Key) bool { return verb == "list" })
	now := func() string {
		n, err := c.Now(t.Context(), "a")
		if err != nil {
			t.Error(err)
			return ""
		}
		return strings.Join(n.all, ",")
	}
	var group sync.WaitGroup
	group.Go(func() { now() })
	<-entered
	const callers = 20
	for range callers {
		group.Go(func() { now() })
	}
	eventually(t, func() bool {
		c.View.mu.Lock()
		defer c.View.mu.Unlock()
		return c.slots["a"].next != nil && c.reached == callers+1
	})
	close(proceed)
	group.Wait()
	if n := c.count("a"); n < 2 || n > callers {
		t.Errorf("compiled %d times for %d calls", n, callers+1)
	}
	if c.running() {
		t.Error("something is still being compiled")
	}
}

// gate is a Fresh whose revision the test sets.
type gate struct {
	mu       sync.Mutex
	revision uint64
	err      error
	waits    int
	// written says when something was last written in a cluster; the first revision for one that is missing.
	written map[logicalcluster.Name]uint64
}

func (g *gate) Unchanged(cluster logicalcluster.Name, since, until uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.written[cluster] <= since && until <= g.revision
}

func (g *gate) write(cluster logicalcluster.Name) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.revision++
	if g.written == nil {
		g.written = map[logicalcluster.Name]uint64{}
	}
	g.written[cluster] = g.revision
}

func (g *gate) Wait(context.Context) (uint64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waits++
	return g.revision, g.err
}

func (g *gate) set(revision uint64, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.revision, g.err = revision, err
}

func TestView_NowCompilesNothingAgainAtOneRevision(t *testing.T) {
	g := &gate{revision: 7}
	c := newCounted(t, func(config *Config[*names]) { config.Fresh = g }, configMap("a", "one"), configMap("b", "one"))
	c.run()
	now := func(cluster logicalcluster.Name) {
		t.Helper()
		if _, err := c.Now(t.Context(), cluster); err != nil {
			t.Fatal(err)
		}
	}
	now("a")
	c.get("b") // compiled when the caches had already reached 7
	for range 3 {
		now("a")
		now("b")
	}
	if c.count("a") != 1 || c.count("b") != 1 {
		t.Errorf("a was compiled %d times, b %d times at one revision", c.count("a"), c.count("b"))
	}
	g.write("a")
	c.get("a")
	if c.count("a") != 1 {
		t.Error("Get looks at the revision")
	}
	now("a")
	if c.count("a") != 2 {
		t.Error("something was written and nothing was compiled")
	}
	broken := errors.New("etcd is away")
	g.set(0, broken)
	if _, err := c.Now(t.Context(), "a"); !errors.Is(err, broken) {
		t.Errorf("Now() = %v", err)
	}
	c.get("a")
}

func TestView_NowCompilesNothingForWritesElsewhere(t *testing.T) {
	g := &gate{revision: 7}
	c := newCounted(t, func(config *Config[*names]) { config.Fresh = g }, referring("a", "near", "it"), configMap("far", "it"), configMap("b", "one"))
	c.run()
	now := func(want int) {
		t.Helper()
		if _, err := c.Now(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if got := c.count("a"); got != want {
			t.Errorf("a was compiled %d times, want %d", got, want)
		}
	}
	now(1)
	for range 10 {
		g.write("b")
		now(1)
	}
	g.write("far") // a read of it
	now(2)
	g.write("b")
	now(2)
	g.write("a")
	now(3)
}

// A call joins a compilation that began earlier if nothing was written in the cluster since.
func TestView_NowJoinsWhatWritesElsewhereDoNotConcern(t *testing.T) {
	g := &gate{revision: 7}
	begun, goOn := make(chan struct{}, 10), make(chan struct{})
	c := newCounted(t, func(config *Config[*names]) {
		config.Fresh = g
		compile := config.Compile
		config.Compile = func(ctx context.Context, from client.Reader, cluster logicalcluster.Name) (*names, error) {
			begun <- struct{}{}
			<-goOn
			return compile(ctx, from, cluster)
		}
	}, configMap("a", "one"))
	c.run()
	var calls sync.WaitGroup
	call := func() {
		calls.Go(func() {
			if _, err := c.Now(t.Context(), "a"); err != nil {
				t.Error(err)
			}
		})
	}
	call()
	<-begun
	for range 5 {
		g.write("b")
		revision := g.revision
		call()
		eventually(t, func() bool { // the call has joined it
			c.View.mu.Lock()
			defer c.View.mu.Unlock()
			return c.slots["a"].running.at == revision
		})
	}
	close(goOn)
	calls.Wait()
	if n := c.count("a"); n != 1 {
		t.Errorf("compiled %d times", n)
	}
}

func TestView_DoesNotTrustForEverWhatItCannotConfirm(t *testing.T) {
	g := &gate{revision: 7}
	clock := testingclock.NewFakePassiveClock(time.Now())
	c := newCounted(t, func(config *Config[*names]) {
		config.Fresh, config.Clock = g, clock
		config.ConfirmAfter, config.DistrustAfter = 5*time.Second, 30*time.Second
	}, configMap("a", "one"))
	c.run()
	c.get("a")
	waits := func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.waits
	}
	if n := waits(); n != 1 {
		t.Errorf("%d looks before the first answer", n)
	}
	clock.SetTime(clock.Now().Add(6 * time.Second))
	c.get("a")
	eventually(t, func() bool { return waits() == 2 })
	eventually(t, func() bool {
		c.View.mu.Lock()
		defer c.View.mu.Unlock()
		return !c.confirming
	})
	broken := errors.New("etcd is away")
	g.set(0, broken)
	clock.SetTime(clock.Now().Add(29 * time.Second))
	c.get("a")
	clock.SetTime(clock.Now().Add(2 * time.Second))
	if _, err := c.Get(t.Context(), "a"); !errors.Is(err, broken) {
		t.Errorf("Get() = %v", err)
	}
	g.set(7, nil)
	c.get("a")
	if c.count("a") != 1 {
		t.Error("what was confirmed is compiled anew")
	}
}

func TestView_FailuresAreNotKept(t *testing.T) {
	c := newCounted(t, func(config *Config[*names]) { config.Timeout = 50 * time.Millisecond }, configMap("a", "one"))
	c.run()
	broken := errors.New("storage is down")
	c.fake.Intercept(func(string, schema.GroupResource, client.Key) error { return broken })
	if _, err := c.Get(t.Context(), "a"); !errors.Is(err, broken) {
		t.Errorf("Get() = %v", err)
	}
	c.fake.Intercept(nil)
	if got := c.get("a"); got != "one" {
		t.Errorf("got %q", got)
	}
	c = newCounted(t, func(config *Config[*names]) {
		config.Timeout = time.Millisecond
		config.Compile = func(ctx context.Context, _ client.Reader, _ logicalcluster.Name) (*names, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	if _, err := c.Get(t.Context(), "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a compilation that hangs: %v", err)
	}
}
