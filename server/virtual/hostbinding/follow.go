package hostbinding

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/annex/mapping"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/schemas/crd"
)

// How often the set is made anew at most, and how soon after a fault.
const (
	pause      = 20 * time.Millisecond
	afterFault = 500 * time.Millisecond
)

// errNotYet means that a projection cannot be made of what is stored now.
var errNotYet = errors.New("the APIExport does not offer it now")

// Ready returns nil once everything that is stored is projected. A host that asks before would find that group versions are
// missing, and delete no namespace.
func (e *Endpoint) Ready() error {
	if !e.built.Load() {
		return errors.New("what HostBindings project has not been read yet")
	}
	return nil
}

// Run follows HostBindings, exports, schemas and their APIConversions until ctx ends. It returns nil then, or why they cannot be watched.
func (e *Endpoint) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watched := []schema.GroupResource{hostBindings, exports, schemas, conversions}
	errs := make([]error, len(watched))
	var all, synced sync.WaitGroup
	for i, gr := range watched {
		synced.Add(1)
		first := sync.OnceFunc(synced.Done)
		all.Go(func() {
			defer first()
			if err := e.Cached.Watch(ctx, gr, func(event client.Event) {
				if event.Type == client.Synced {
					first()
				}
				e.touch()
			}); err != nil && ctx.Err() == nil {
				errs[i] = fmt.Errorf("watching %s for what is projected: %w", gr, err)
				cancel()
			}
		})
	}
	all.Go(func() {
		synced.Wait()
		e.keepBuilding(ctx)
	})
	all.Wait()
	return errors.Join(errs...)
}

// touch asks for a new set.
func (e *Endpoint) touch() {
	select {
	case e.dirty <- struct{}{}:
	default:
	}
}

func (e *Endpoint) keepBuilding(ctx context.Context) {
	for {
		wait := pause
		if err := e.rebuild(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			klog.FromContext(ctx).V(2).Info("What is projected cannot be read, trying again", "reason", err.Error())
			wait = afterFault
			e.touch()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		select {
		case <-ctx.Done():
			return
		case <-e.dirty:
		}
	}
}

// rebuild makes the set of what is stored now. A projection that cannot be made any more stays as it was: the host has it
// registered until the controller takes it back, and must not find it missing before.
func (e *Endpoint) rebuild(ctx context.Context) error {
	if err := e.Clusters.Ready(); err != nil {
		return err
	}
	stored, err := client.List[annexv1alpha1.HostBinding](ctx, e.Cached, hostBindings, client.Scope{})
	if err != nil {
		return err
	}
	stored = slices.DeleteFunc(stored, func(b *annexv1alpha1.HostBinding) bool { return !e.Hosts(logicalcluster.From(b)) })
	slices.SortFunc(stored, func(a, b *annexv1alpha1.HostBinding) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	before := map[client.Key]*projection{}
	for _, p := range e.current.Load().all {
		before[p.key] = p
	}
	var all []*projection
	for _, b := range stored {
		p, err := e.project(ctx, b)
		old := before[client.KeyOf(b)]
		switch {
		case errors.Is(err, errNotYet):
			p = old
		case err != nil:
			return err
		case p != nil && old != nil && p.same(old):
			p = old
		}
		if p != nil {
			all = append(all, p)
		}
	}
	e.publish(newSet(all, e.Own))
	e.built.Store(true)
	return nil
}

// project returns what binding projects; nil for nothing.
func (e *Endpoint) project(ctx context.Context, binding *annexv1alpha1.HostBinding) (*projection, error) {
	p := &projection{key: client.KeyOf(binding), identity: binding.Status.IdentityHash, byHost: binding.Spec.Authorization == annexv1alpha1.AuthorizationHost, create: binding.Spec.Workspace.Create}
	for _, version := range binding.Status.GroupVersions {
		gv, err := schema.ParseGroupVersion(version.Name)
		if err == nil && gv.Group != "" && version.State != annexv1alpha1.HostGroupVersionConflict {
			p.versions = append(p.versions, gv)
		}
	}
	reference := binding.Spec.Reference.Export
	var err error
	if p.mapping, err = mapping.Parse(binding.Spec.Workspace.Path); err != nil || reference == nil || len(p.versions) == 0 || p.identity == "" {
		return nil, nil //nolint:nilerr,nilnil // validation has seen to the path; nothing is projected yet
	}
	p.export = client.Key{Cluster: logicalcluster.Name(binding.Status.APIExportClusterName), Name: reference.Name}
	export, err := client.FindNow[apisv1alpha2.APIExport](ctx, e.Cached, e.Live, exports, p.export)
	if err != nil {
		return nil, err
	}
	if export == nil || export.Status.IdentityHash != p.identity {
		return nil, errNotYet
	}
	if err := e.fill(ctx, p, export); err != nil {
		return nil, err
	}
	return p, nil
}

// fill adds the resources of export to p.
func (e *Endpoint) fill(ctx context.Context, p *projection, export *apisv1alpha2.APIExport) error {
	for _, offered := range export.Spec.Resources {
		gr := schema.GroupResource{Group: offered.Group, Resource: offered.Name}
		if p.export.Cluster == logicalcluster.Root && e.IsBound(gr) || offered.Storage.Virtual != nil {
			continue
		}
		source, err := client.FindNow[apisv1alpha1.APIResourceSchema](ctx, e.Cached, e.Live, schemas, client.Key{Cluster: p.export.Cluster, Name: offered.Schema})
		if err != nil {
			return err
		}
		if source == nil || source.Spec.Group != gr.Group || source.Spec.Names.Plural != gr.Resource {
			return errNotYet
		}
		var rules *apisv1alpha1.APIConversion
		if crd.Converts(source) {
			if rules, err = client.Find[apisv1alpha1.APIConversion](ctx, e.Cached, conversions, client.KeyOf(source)); err != nil {
				return err
			}
		}
		if err := e.add(p, gr, source, rules); err != nil {
			return err
		}
	}
	return nil
}

// add adds one resource in the versions that are projected. Cluster-scoped ones have a place in fixed workspaces only.
func (e *Endpoint) add(p *projection, gr schema.GroupResource, source *apisv1alpha1.APIResourceSchema, rules *apisv1alpha1.APIConversion) error {
	definition, err := crd.FromSchema(source)
	if err == nil {
		err = crd.SetConversion(definition, rules)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNotYet, err)
	}
	resource, err := e.Catalog.ResourceOf(definition, p.identity)
	if err != nil {
		return fmt.Errorf("preparing the schema of %s: %w", gr, err)
	}
	if !resource.Namespaced && !p.mapping.Fixed() {
		return nil
	}
	narrow, served := definition.DeepCopy(), false
	for i := range narrow.Spec.Versions {
		version := &narrow.Spec.Versions[i]
		version.Served = version.Served && slices.Contains(p.versions, schema.GroupVersion{Group: gr.Group, Version: version.Name})
		served = served || version.Served
	}
	if !served {
		return nil
	}
	shown, err := e.Catalog.ResourceOf(narrow, p.identity)
	if err != nil {
		return fmt.Errorf("preparing the schema of %s: %w", gr, err)
	}
	if p.resources == nil {
		p.resources = map[schema.GroupResource]*catalog.Resource{}
	}
	p.resources[gr], p.shown = resource, append(p.shown, shown)
	return nil
}
