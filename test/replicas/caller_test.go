package replicas

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/crowd"
	"github.com/annex-dev/annex/test/framework/ledger"
)

// callerPace is the time between two requests of a caller.
const callerPace = 40 * time.Millisecond

// What callers measure.
const (
	askCreate = "create"
	askUpdate = "update"
	askGet    = "get"
	askVisit  = "get elsewhere" // in a workspace that is used for the first time, most likely
	askResume = "watch resumed" // from the end of a watch until the next is open
)

// objectPrefix tells the objects of callers from those that a workspace has anyway.
const objectPrefix = "object-"

// caller is a client of the service with objects of its own in a workspace of its own: it creates, updates and reads them, and watches
// them. It has a connection for each of these, which may be to different servers; that of the watch has nothing else to do.
type caller struct {
	t                 *testing.T
	m                 *measurements
	path              string
	elsewhere         []string // paths of other workspaces
	writes, reads     *serviceClient
	write, read, show typedcorev1.ConfigMapInterface

	ledger   ledger.Ledger
	value    int // last that was tried
	last     string
	names    []string
	versions map[string]string

	relisted int // times that the watch began anew
}

func newCaller(t *testing.T, m *measurements, s *service, config *rest.Config, path string, elsewhere []string) *caller {
	t.Helper()
	c := &caller{t: t, m: m, path: path, elsewhere: elsewhere, versions: map[string]string{}}
	in := func(over *serviceClient) typedcorev1.ConfigMapInterface {
		at := rest.CopyConfig(over.Config)
		at.Host = crowd.ClusterURL(at.Host, path)
		typed, err := kubernetes.NewForConfigAndClient(at, over.HTTP)
		if err != nil {
			t.Fatal(err)
		}
		return typed.CoreV1().ConfigMaps("default")
	}
	c.writes, c.reads = s.connect(t, config, m), s.connect(t, config, m)
	c.write, c.read, c.show = in(c.writes), in(c.reads), in(s.connect(t, config, m))
	return c
}

// work sends one request after the other until stopped.
func (c *caller) work(stopped <-chan struct{}) {
	tick := time.NewTicker(callerPace)
	defer tick.Stop()
	for k := 0; ; k++ {
		select {
		case <-stopped:
			return
		case <-tick.C:
		}
		c.step(k)
	}
}

// step sends one request, again and again until it is known what became of it.
func (c *caller) step(k int) {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	some := func() string { return c.names[rand.IntN(len(c.names))] }
	switch {
	case k%4 == 0:
		name := objectPrefix + strconv.Itoa(len(c.names))
		if c.put(ctx, askCreate, name, func(object *corev1.ConfigMap) (*corev1.ConfigMap, error) {
			return c.write.Create(ctx, object, metav1.CreateOptions{})
		}) {
			c.names = append(c.names, name)
		}
	case len(c.names) == 0:
	case k%4 == 2:
		c.put(ctx, askUpdate, some(), func(object *corev1.ConfigMap) (*corev1.ConfigMap, error) {
			return c.write.Update(ctx, object, metav1.UpdateOptions{})
		})
	case k%8 == 1:
		c.visit(ctx)
	default:
		done := c.m.start(askGet)
		if _, known := c.look(ctx, some()); known {
			done()
		}
	}
}

// put writes the next value into an object and reports whether it is there.
func (c *caller) put(ctx context.Context, kind, name string, send func(*corev1.ConfigMap) (*corev1.ConfigMap, error)) bool {
	c.value++
	c.last = name
	c.ledger.Try(name, c.value)
	done, doubts := c.m.start(kind), c.writes.doubts.Load()
	for {
		stored, err := send(&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: c.versions[name]},
			Data:       map[string]string{"value": strconv.Itoa(c.value)},
		})
		doubtful := c.writes.doubts.Load() != doubts
		switch {
		case err == nil:
			c.ledger.Acknowledge(name, c.value)
			c.versions[name] = stored.ResourceVersion
			done()
			return true
		case doubtful && (retriable(err) || apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err)):
			// An earlier attempt may have been carried out.
			value, known := c.look(ctx, name)
			if !known {
				return false
			}
			if value == c.value {
				done()
				return true
			}
		case !retriable(err):
			c.t.Errorf("%s of %s in %s: %v", kind, name, c.path, err)
			return false
		}
		if crowd.Sleep(ctx, pace) != nil {
			c.t.Errorf("%s of %s in %s: nothing but %v", kind, name, c.path, err)
			return false
		}
	}
}

// look reads an object and holds its value, 0 for none, against what is known. It does not know when nobody answers.
func (c *caller) look(ctx context.Context, name string) (value int, known bool) {
	for {
		object, err := c.read.Get(ctx, name, metav1.GetOptions{})
		switch {
		case err == nil:
			value, c.versions[name] = valueOf(object), object.ResourceVersion
		case apierrors.IsNotFound(err):
		case !retriable(err):
			c.t.Errorf("reading %s in %s: %v", name, c.path, err)
			return 0, false
		case crowd.Sleep(ctx, pace) != nil:
			c.t.Errorf("reading %s in %s: nothing but %v", name, c.path, err)
			return 0, false
		default:
			continue
		}
		if err := c.ledger.Read(name, value); err != nil {
			c.t.Errorf("in %s: %v", c.path, err)
		}
		return value, true
	}
}

// visit reads what every workspace has.
func (c *caller) visit(ctx context.Context) {
	path := c.elsewhere[rand.IntN(len(c.elsewhere))]
	done := c.m.start(askVisit)
	for {
		err := c.getNamespace(ctx, path)
		if err == nil {
			done()
			return
		}
		if !retriable(err) || crowd.Sleep(ctx, pace) != nil {
			c.t.Errorf("reading what is in %s: %v", path, err)
			return
		}
	}
}

func (c *caller) getNamespace(ctx context.Context, path string) error {
	client, err := c.reads.Cluster(path)
	if err != nil {
		return err
	}
	_, err = client.Resource(corev1.SchemeGroupVersion.WithResource("namespaces")).Get(ctx, "default", metav1.GetOptions{})
	return err
}

// list begins a watch: it returns where from.
func (c *caller) list(ctx context.Context) (version string, err error) {
	objects, err := c.show.List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	if err := c.ledger.List(values(objects.Items)); err != nil {
		c.t.Errorf("in %s: %v", c.path, err)
	}
	return objects.ResourceVersion, nil
}

// follow watches from a version until ctx ends; a watch that ends is resumed where it was.
func (c *caller) follow(ctx context.Context, version string) {
	opened := func() {} // the first one resumes nothing
	for ctx.Err() == nil {
		open := false
		err := c.watch(ctx, &version, func() {
			opened()
			open = true
		})
		if open {
			opened = c.m.start(askResume)
		}
		switch {
		case ctx.Err() != nil:
		case err == nil:
			continue
		case apierrors.IsResourceExpired(err), apierrors.IsGone(err):
			c.relisted++
			if listed, err := c.list(ctx); err == nil {
				version = listed
			}
		case !retriable(err):
			c.t.Errorf("watching in %s from %s: %v", c.path, version, err)
			return
		}
		_ = crowd.Sleep(ctx, pace)
	}
}

// watch shows the ledger what happens, until the watch ends. It calls opened when there is one.
func (c *caller) watch(ctx context.Context, version *string, opened func()) error {
	events, err := c.show.Watch(ctx, metav1.ListOptions{ResourceVersion: *version, AllowWatchBookmarks: true})
	if err != nil {
		return err
	}
	defer events.Stop()
	opened()
	for event := range events.ResultChan() {
		if event.Type == watch.Error {
			return apierrors.FromObject(event.Object)
		}
		object, is := event.Object.(*corev1.ConfigMap)
		if !is {
			c.t.Errorf("watching in %s: an event with a %T", c.path, event.Object)
			return nil
		}
		*version = object.ResourceVersion
		if event.Type == watch.Bookmark || !strings.HasPrefix(object.Name, objectPrefix) {
			continue
		}
		if err := c.ledger.Show(object.Name, valueOf(object)); err != nil {
			c.t.Errorf("in %s: %v", c.path, err)
		}
	}
	return nil
}

// check fails the test unless a replica has what was acknowledged, and nothing else.
func (c *caller) check(replica kubernetes.Interface) error {
	objects, err := replica.CoreV1().ConfigMaps("default").List(c.t.Context(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	found := values(objects.Items)
	for name := range found {
		if err := c.ledger.Read(name, found[name]); err != nil {
			c.t.Errorf("in %s: %v", c.path, err)
		}
	}
	for _, name := range c.ledger.Names() {
		if err := c.ledger.Read(name, found[name]); err != nil {
			c.t.Errorf("in %s: %v", c.path, err)
		}
	}
	return nil
}

func valueOf(object *corev1.ConfigMap) int {
	value, _ := strconv.Atoi(object.Data["value"])
	return value
}

// values returns what the objects of callers hold.
func values(objects []corev1.ConfigMap) map[string]int {
	found := map[string]int{}
	for i := range objects {
		if strings.HasPrefix(objects[i].Name, objectPrefix) {
			found[objects[i].Name] = valueOf(&objects[i])
		}
	}
	return found
}
