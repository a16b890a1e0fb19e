package clientgo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	clientfeatures "k8s.io/client-go/features"
	clientfeaturestesting "k8s.io/client-go/features/testing"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/pager"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/host/process"
)

// many is how many objects there are when the informers start.
var many = map[schema.GroupVersionResource]int{configMaps: 2000, gadgets: 150, widgets: 150}

// follower is an informer and what it said.
type follower struct {
	informer cache.SharedIndexInformer
	resource schema.GroupVersionResource
	said     *ledger
	// begun counts how often the informer listed, or began a watch that lists.
	begun func() int
	// newest is the last resourceVersion of the informer that was seen from outside.
	newest uint64
}

// lists counts the requests of a client that ask for all objects, by resource.
type lists struct {
	next     http.RoundTripper
	watching bool // whether it may list by a watch only
	mu       sync.Mutex
	count    map[string]int
	wrong    []string
}

// RoundTrip implements http.RoundTripper.
func (l *lists) RoundTrip(r *http.Request) (*http.Response, error) {
	query, resource := r.URL.Query(), r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	initial := query.Get("sendInitialEvents") == "true"
	l.mu.Lock()
	if query.Get("watch") != "true" || initial {
		l.count[resource]++
		if initial != l.watching {
			l.wrong = append(l.wrong, r.URL.String())
		}
	}
	l.mu.Unlock()
	return l.next.RoundTrip(r)
}

// counted returns a copy of config whose requests are counted.
func counted(config *rest.Config, watching bool) (*rest.Config, *lists) {
	counter := &lists{watching: watching, count: map[string]int{}}
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		counter.next = next
		return counter
	})
	return config, counter
}

// started are informers of all makes for one way to list.
type started struct {
	followers []*follower
	counters  []*lists
}

// start starts typed informers for JSON and for protobuf, dynamic and metadata informers, and waits until they are in sync.
func start(t *testing.T, ctx context.Context, config *rest.Config, watchList bool) started {
	t.Helper()
	clientfeaturestesting.SetFeatureDuringTest(t, clientfeatures.WatchListClient, watchList)
	way := map[bool]string{true: "WatchList", false: "LIST"}[watchList]
	var all started
	follow := func(kind string, counter *lists, resource schema.GroupVersionResource, informer cache.SharedIndexInformer) {
		said := newLedger(fmt.Sprintf("%s, %s, %s", kind, way, resource.Resource))
		if _, err := informer.AddEventHandler(said); err != nil {
			t.Fatal(err)
		}
		all.followers = append(all.followers, &follower{informer: informer, resource: resource, said: said, begun: func() int {
			counter.mu.Lock()
			defer counter.mu.Unlock()
			return counter.count[resource.Resource]
		}})
	}
	begin := func(config *rest.Config) (*rest.Config, *lists) {
		config, counter := counted(config, watchList)
		all.counters = append(all.counters, counter)
		return config, counter
	}
	for _, contentType := range []string{runtime.ContentTypeJSON, runtime.ContentTypeProtobuf} {
		config, counter := begin(config)
		config.ContentType, config.AcceptContentTypes = contentType, contentType
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		factory := informers.NewSharedInformerFactory(client, 0)
		follow("typed "+contentType, counter, configMaps, factory.Core().V1().ConfigMaps().Informer())
		factory.StartWithContext(ctx)
	}
	dynamicConfig, counter := begin(config)
	untyped, err := dynamic.NewForConfig(dynamicConfig)
	if err != nil {
		t.Fatal(err)
	}
	untypedInformers := dynamicinformer.NewDynamicSharedInformerFactory(untyped, 0)
	for _, resource := range []schema.GroupVersionResource{gadgets, widgets} {
		follow("dynamic", counter, resource, untypedInformers.ForResource(resource).Informer())
	}
	untypedInformers.Start(ctx.Done())
	metadataConfig, counter := begin(config)
	partial, err := metadata.NewForConfig(metadataConfig)
	if err != nil {
		t.Fatal(err)
	}
	partialInformers := metadatainformer.NewSharedInformerFactory(partial, 0)
	for _, resource := range []schema.GroupVersionResource{configMaps, gadgets, widgets} {
		follow("metadata", counter, resource, partialInformers.ForResource(resource).Informer())
	}
	partialInformers.Start(ctx.Done())
	for _, f := range all.followers {
		if !cache.WaitForCacheSync(ctx.Done(), f.informer.HasSynced) {
			t.Fatalf("%s: no sync", f.said.what)
		}
	}
	return all
}

// writer changes objects that no other writer changes, one after the other, whatever becomes of the server.
type writer struct {
	client dynamic.Interface
	number int
}

// churn makes, changes and deletes an object of each resource, round after round. An object that is deleted is made again under its name.
func (w writer) churn(ctx context.Context, rounds int, done *atomic.Int64) {
	for round := range rounds {
		for resource, objects := range many {
			client := w.client.Resource(resource).Namespace("default")
			name := fmt.Sprintf("churn-%d-%d", w.number, round%5)
			switch {
			case round%2 == 0:
				insist(ctx, func() error {
					_, err := client.Create(ctx, object(resource, name), metav1.CreateOptions{})
					return err
				})
			case round%3 == 0:
				insist(ctx, func() error { return client.Delete(ctx, name, metav1.DeleteOptions{}) })
			}
			// One of those that were there before, too.
			old := fmt.Sprintf("old-%d", (w.number*rounds+round)%objects)
			if round%7 == 0 {
				insist(ctx, func() error { return client.Delete(ctx, old, metav1.DeleteOptions{}) })
			}
			patch := fmt.Appendf(nil, `{"metadata":{"labels":{"round":"%d-%d"}}}`, w.number, round)
			for _, name := range []string{name, old} {
				insist(ctx, func() error {
					_, err := client.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
					return err
				})
			}
		}
		done.Add(1)
	}
}

// insist writes until a server answers, whatever it answers.
func insist(ctx context.Context, write func() error) {
	for ctx.Err() == nil {
		err := write()
		if status := apierrors.APIStatus(nil); err == nil || errors.As(err, &status) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// listed returns all objects of a resource as the server lists them.
func listed(ctx context.Context, client dynamic.Interface, resource schema.GroupVersionResource) (map[string]entry, error) {
	list, err := client.Resource(resource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	all := map[string]entry{}
	for i := range list.Items {
		obj := &list.Items[i]
		version, err := strconv.ParseUint(obj.GetResourceVersion(), 10, 64)
		if err != nil {
			return nil, err
		}
		all[obj.GetNamespace()+"/"+obj.GetName()] = entry{obj.GetUID(), version}
	}
	return all, nil
}

// Informers of all makes survive two crashes of the server, and a compaction of etcd while it is away: in the end each holds what the
// server lists, and what it said meanwhile makes sense.
func TestInformers_HoldWhatTheServerListsWhateverHappens(t *testing.T) {
	t.Parallel()
	const writers, rounds = 6, 40
	port, err := process.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	etcd := annex.StartEtcd(t)
	server := annex.Start(t, "--etcd-servers", etcd.URL(), "--secure-port", strconv.Itoa(port))
	provider, _ := server.NewWorkspace("root", "provider", "")
	team, _ := server.NewWorkspace("root", "team-a", "")
	for _, obj := range manifests(t, examples+"export.yaml") {
		apply(t, server.Workspace(provider), obj)
	}
	config := server.Workspace(team)
	for _, file := range []string{"binding.yaml", "crd.yaml"} {
		for _, obj := range manifests(t, examples+file) {
			apply(t, config, obj)
		}
	}
	served(t, config, gadgets)
	served(t, config, widgets)
	_, client := annex.Clients(t, config)
	var fill errgroup.Group
	fill.SetLimit(16)
	for resource, objects := range many {
		for i := range objects {
			fill.Go(func() error {
				_, err := client.Resource(resource).Namespace("default").Create(t.Context(), object(resource, fmt.Sprintf("old-%d", i)), metav1.CreateOptions{})
				return err
			})
		}
	}
	if err := fill.Wait(); err != nil {
		t.Fatal(err)
	}

	// The sets start one after the other, because a switch of the whole process decides how they list.
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all started
	for _, watchList := range []bool{true, false} {
		t.Run(fmt.Sprintf("WatchList %t", watchList), func(t *testing.T) {
			set := start(t, ctx, config, watchList)
			all.followers = append(all.followers, set.followers...)
			all.counters = append(all.counters, set.counters...)
		})
	}
	var watchers sync.WaitGroup
	watching, enough := context.WithCancel(t.Context())
	defer enough()
	watchers.Go(func() { neverBack(t, watching, all.followers) })

	// Somebody who reads pages begins before the first crash and goes on after the compaction.
	halfRead, compacted := make(chan struct{}), make(chan struct{})
	var read []runtime.Object
	var reader errgroup.Group
	reader.Go(func() (err error) {
		read, err = readPages(ctx, client, halfRead, compacted)
		return err
	})
	<-halfRead

	began := all.followers[0].informer.LastSyncResourceVersion()
	var done atomic.Int64
	var writing sync.WaitGroup
	for number := range writers {
		writing.Go(func() { writer{client, number}.churn(ctx, rounds, &done) })
	}
	for crash := range int64(2) {
		annex.Eventually(t, func(context.Context) error {
			if now := done.Load(); now < writers*rounds*(crash+1)/4 {
				return fmt.Errorf("%d rounds are done", now)
			}
			return nil
		})
		server.Kill()
		if crash == 0 {
			etcd.Compact()
		}
		server.Start()
		if crash == 0 {
			close(compacted)
		}
	}
	writing.Wait()
	if err := reader.Wait(); err != nil {
		t.Errorf("reading pages over a compaction: %v", err)
	}
	holdsEachOnce(t, read)

	for resource := range many {
		if _, err := client.Resource(resource).Namespace("default").Create(t.Context(), object(resource, "last"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		want, err := listed(t.Context(), client, resource)
		if err != nil {
			t.Fatal(err)
		}
		forgotten(t, client, resource, began)
		if len(want) < many[resource]/2 {
			t.Errorf("only %d %s are left", len(want), resource.Resource)
		}
		for _, f := range all.followers {
			if f.resource != resource {
				continue
			}
			annex.Eventually(t, func(context.Context) error { return f.said.lacks(want) })
			held := map[string]entry{}
			for _, obj := range f.informer.GetStore().List() {
				key, state := f.said.read(obj)
				held[key] = state
			}
			if err := differ(f.said.what+", store", held, want); err != nil {
				t.Error(err)
			}
		}
	}
	enough()
	watchers.Wait()
	anew := 0
	for _, f := range all.followers {
		f.said.check(t)
		if f.said.deletes == 0 || f.said.updates == 0 {
			t.Errorf("%s: %d updates and %d deletions were seen", f.said.what, f.said.updates, f.said.deletes)
		}
		t.Logf("%s: %d lists, %d added, %d updated, %d deleted", f.said.what, f.begun(), f.said.adds, f.said.updates, f.said.deletes)
		anew += f.begun() - 1
	}
	if anew < len(all.followers)/2 {
		t.Errorf("%d informers listed again only %d times, although what they knew was forgotten", len(all.followers), anew)
	}
	for _, counter := range all.counters {
		if len(counter.wrong) > 0 {
			t.Errorf("listed in the other way, for example %s", counter.wrong[0])
		}
	}
	server.CheckData(t, etcd.URL())
}

// forgotten checks that a server which has not seen the events since a resourceVersion does not pretend to have.
func forgotten(t *testing.T, client dynamic.Interface, resource schema.GroupVersionResource, version string) {
	t.Helper()
	events, err := client.Resource(resource).Watch(t.Context(), metav1.ListOptions{ResourceVersion: version})
	if err == nil {
		defer events.Stop()
		event := <-events.ResultChan()
		if err = apierrors.FromObject(event.Object); event.Type != watch.Error {
			err = fmt.Errorf("it shows %s", event.Type)
		}
	}
	if !apierrors.IsGone(err) && !apierrors.IsResourceExpired(err) {
		t.Errorf("a watch of %s from before the crashes on: %v", resource.Resource, err)
	}
}

// neverBack reports each informer whose resourceVersion goes back, until ctx ends.
func neverBack(t *testing.T, ctx context.Context, followers []*follower) {
	for ctx.Err() == nil {
		for _, f := range followers {
			text := f.informer.LastSyncResourceVersion()
			version, err := strconv.ParseUint(text, 10, 64)
			switch {
			case err != nil:
				t.Errorf("%s is at resourceVersion %q", f.said.what, text)
				return
			case version < f.newest:
				t.Errorf("%s goes back from resourceVersion %d to %d", f.said.what, f.newest, version)
			}
			f.newest = version
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// readPages reads all ConfigMaps, a page at a time. After some it closes halfRead and goes on when compacted is closed: the server has
// forgotten then what the pages are of, says so, and the pager reads anew.
func readPages(ctx context.Context, client dynamic.Interface, halfRead, compacted chan struct{}) ([]runtime.Object, error) {
	pages, forgotten := 0, 0
	p := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		if pages++; pages == 5 {
			close(halfRead)
			select {
			case <-compacted:
			case <-ctx.Done():
			}
		}
		list, err := client.Resource(configMaps).List(ctx, options)
		if apierrors.IsResourceExpired(err) {
			forgotten++
		}
		return list, err
	})
	p.PageSize = 100
	list, _, err := p.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	if forgotten != 1 || pages != 6 {
		return nil, fmt.Errorf("%d of %d pages were forgotten", forgotten, pages)
	}
	return meta.ExtractList(list)
}

func holdsEachOnce(t *testing.T, objects []runtime.Object) {
	t.Helper()
	var names []string
	for _, obj := range objects {
		accessor, err := meta.Accessor(obj)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, accessor.GetNamespace()+"/"+accessor.GetName())
	}
	slices.Sort(names)
	if n := len(names); n < many[configMaps]/2 || len(slices.Compact(slices.Clone(names))) != n {
		t.Errorf("%d objects in pages, %d different ones", n, len(slices.Compact(names)))
	}
}
