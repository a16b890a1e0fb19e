package apiservice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/kube-aggregator/pkg/client/informers/externalversions"
	listers "k8s.io/kube-aggregator/pkg/client/listers/apiregistration/v1"
)

// fieldManager owns the fields that a Registrar writes on the host.
const fieldManager = "annex"

// Subjects of faults that do not concern a single APIService.
const (
	subjectRead   = "read"   // APIServices cannot be read
	subjectWrite  = "write"  // they cannot be written
	subjectAnchor = "anchor" // there is nothing to register after
)

// Run registers until ctx ends; a Registrar runs once. If the host cannot be reached, it retries. Until then, only the
// states are affected.
func (r *Registrar) Run(ctx context.Context) error {
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues("controller", "apiservice"))
	factory := externalversions.NewSharedInformerFactoryWithOptions(r.config.Client, 0, externalversions.WithTransform(slim))
	services := factory.Apiregistration().V1().APIServices()
	informer := services.Informer()
	if err := informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) { r.noteWatch(ctx, err) }); err != nil {
		return fmt.Errorf("preparing to watch APIServices: %w", err)
	}
	changed := func() { r.queue.Add(struct{}{}) }
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { changed() },
		UpdateFunc: func(any, any) { changed() },
		DeleteFunc: func(any) { changed() },
	}); err != nil {
		return fmt.Errorf("preparing to watch APIServices: %w", err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer r.queue.ShutDown()
	wg.Go(func() { informer.RunWithContext(ctx) })
	wg.Go(func() { r.followBundle(ctx) })
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return ctx.Err()
	}
	r.read.Store(true)
	changed()
	context.AfterFunc(ctx, r.queue.ShutDown)
	for r.next(ctx, services.Lister()) {
	}
	return ctx.Err()
}

// slim drops fields that this package does not read. An update without managed fields keeps the stored ones.
func slim(obj any) (any, error) {
	if accessor, err := meta.Accessor(obj); err == nil {
		accessor.SetManagedFields(nil)
	}
	return obj, nil
}

// followBundle starts a pass whenever the CA bundle has changed.
func (r *Registrar) followBundle(ctx context.Context) {
	for {
		_, outdated := r.config.CABundle()
		select {
		case <-ctx.Done():
			return
		case <-outdated:
			r.queue.Add(struct{}{})
		}
	}
}

// next does one pass; false if the queue is shut down.
func (r *Registrar) next(ctx context.Context, lister listers.APIServiceLister) bool {
	item, shutdown := r.queue.Get()
	if shutdown {
		return false
	}
	defer r.queue.Done(item)
	existing, err := lister.List(labels.Everything())
	if err == nil {
		err = r.sync(ctx, existing)
	}
	switch {
	case err == nil:
		r.logged.note(ctx, subjectRead, "")
		r.logged.note(ctx, subjectWrite, "")
		r.queue.Forget(item)
		return true
	case !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && ctx.Err() == nil:
		// These two errors only mean that the informer is behind.
		r.logged.note(ctx, subjectWrite, err.Error())
	}
	r.queue.AddRateLimited(item)
	return true
}

// noteWatch records errors of the informer, except expected ones.
func (r *Registrar) noteWatch(ctx context.Context, err error) {
	if ctx.Err() != nil || errors.Is(err, io.EOF) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return
	}
	reason := fmt.Sprintf("reading the APIServices of the host: %v", err)
	r.logged.note(ctx, subjectRead, reason)
	if !r.read.Load() {
		r.report(nil, reason)
	}
}

// faults remembers what was logged, so that each fault is logged once. The zero value is ready.
type faults struct {
	lock sync.Mutex
	last map[string]string
}

// note logs reason unless it is the last reason for subject. An empty reason means that there is no fault.
func (f *faults) note(ctx context.Context, subject, reason string) {
	f.lock.Lock()
	defer f.lock.Unlock()
	if f.last == nil {
		f.last = map[string]string{}
	}
	if f.last[subject] == reason {
		return
	}
	f.last[subject] = reason
	if reason != "" {
		klog.FromContext(ctx).Error(nil, "Registration with the host is not complete", "reason", reason)
		return
	}
	klog.FromContext(ctx).V(2).Info("Registration with the host goes on", "subject", subject)
}
