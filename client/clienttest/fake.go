package clienttest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/uuid"
	kubernetesscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	ourscheme "github.com/annex-dev/annex/generated/clientset/versioned/scheme"
)

// Fake is a client.Client in memory. It is safe for many goroutines.
type Fake struct {
	typer *runtime.Scheme

	mu        sync.Mutex
	changed   *sync.Cond
	revision  int64
	resources map[schema.GroupResource]*table
	writes    []string
	happened  []happening // to any resource
	intercept func(verb string, resource schema.GroupResource, key client.Key) error
}

var _ client.Client = &Fake{}

// table holds the objects of one resource and everything that ever happened to them.
type table struct {
	objects map[client.Key]entry
	log     []client.Event
}

// happening is what happened to one object.
type happening struct {
	resource schema.GroupResource
	event    client.Event
}

// entry is one object: the copy that is handed out, and one that nobody can reach.
type entry struct{ shared, pristine client.Object }

// NewFake returns a client that holds objects; each must carry the annotation kcp.io/cluster (see In), and get a uid and a
// resourceVersion when they have none. Their resources follow from their Go types, which must be of k8s.io/api,
// apiextensions or our own groups, or from the kind of unstructured objects. It panics when the resource is unknown.
func NewFake(objects ...client.Object) *Fake {
	f := &Fake{typer: runtime.NewScheme(), resources: map[schema.GroupResource]*table{}}
	f.changed = sync.NewCond(&f.mu)
	for _, add := range []func(*runtime.Scheme) error{kubernetesscheme.AddToScheme, apiextensionsv1.AddToScheme, ourscheme.AddToScheme} {
		if err := add(f.typer); err != nil {
			panic(err)
		}
	}
	for _, obj := range objects {
		f.mu.Lock()
		f.put(f.resourceOf(obj), client.Added, obj.DeepCopyObject().(client.Object))
		f.mu.Unlock()
	}
	f.writes = nil
	return f
}

// In marks obj as living in cluster and returns it, for NewFake.
func In[T client.Object](cluster logicalcluster.Name, obj T) T {
	setCluster(obj, cluster)
	return obj
}

func setCluster(obj client.Object, cluster logicalcluster.Name) {
	annotations := maps.Clone(obj.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[logicalcluster.AnnotationKey] = string(cluster)
	obj.SetAnnotations(annotations)
}

// Intercept calls before each call of the client, with a verb of get, list, create, update or delete; an error that it
// returns is the answer. The key of a list has no name. A nil function ends interception.
func (f *Fake) Intercept(before func(verb string, resource schema.GroupResource, key client.Key) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.intercept = before
}

// Writes returns what was written since NewFake, in order, each as "verb resource key", for example
// "create configmaps root|default/a". Updates that changed nothing are not among them.
func (f *Fake) Writes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.writes)
}

// Mutated returns the keys of objects that somebody changed without writing them: objects that are read are shared.
func (f *Fake) Mutated() []client.Key {
	f.mu.Lock()
	defer f.mu.Unlock()
	var keys []client.Key
	for _, t := range f.resources {
		for key, e := range t.objects {
			if !apiequality.Semantic.DeepEqual(e.shared, e.pristine) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// Await blocks until until is true for the object, which is nil while it does not exist, and returns it. It fails when ctx
// ends first.
func (f *Fake) Await(ctx context.Context, resource schema.GroupResource, key client.Key, until func(client.Object) bool) (client.Object, error) {
	defer f.wakeWith(ctx)()
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		obj := f.table(resource).objects[key].shared
		if until(obj) {
			return obj, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("waiting for %s %s: %w", resource, key, err)
		}
		f.changed.Wait()
	}
}

// Get implements client.Reader.
func (f *Fake) Get(_ context.Context, resource schema.GroupResource, key client.Key) (client.Object, error) {
	if err := f.before("get", resource, key); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.table(resource).objects[key]
	if !ok {
		return nil, apierrors.NewNotFound(resource, key.Name)
	}
	return e.shared, nil
}

// List implements client.Reader.
func (f *Fake) List(_ context.Context, resource schema.GroupResource, scope client.Scope) ([]client.Object, error) {
	if err := f.before("list", resource, client.Key{Cluster: scope.Cluster, Namespace: scope.Namespace}); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list(resource, scope), nil
}

func (f *Fake) list(resource schema.GroupResource, scope client.Scope) []client.Object {
	var found []client.Object
	objects := f.table(resource).objects
	for _, key := range slices.SortedFunc(maps.Keys(objects), client.Key.Compare) {
		obj := objects[key].shared
		if (scope.Cluster == "" || scope.Cluster == key.Cluster) &&
			(scope.Namespace == "" || scope.Namespace == key.Namespace) &&
			(scope.Selector == nil || scope.Selector.Matches(labels.Set(obj.GetLabels()))) {
			found = append(found, obj)
		}
	}
	return found
}

// Watch implements client.Reader.
func (f *Fake) Watch(ctx context.Context, resource schema.GroupResource, handle func(client.Event)) error {
	defer f.wakeWith(ctx)()
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.table(resource)
	pending := []client.Event{{Type: client.Reset}}
	for _, obj := range f.list(resource, client.Scope{}) {
		pending = append(pending, client.Event{Type: client.Added, Object: obj})
	}
	pending = append(pending, client.Event{Type: client.Synced})
	for seen := len(t.log); ; {
		f.mu.Unlock()
		for _, event := range pending {
			if ctx.Err() == nil {
				handle(event)
			}
		}
		f.mu.Lock()
		for len(t.log) == seen && ctx.Err() == nil {
			f.changed.Wait()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		pending, seen = slices.Clone(t.log[seen:]), len(t.log)
	}
}

// Create implements client.Writer.
func (f *Fake) Create(_ context.Context, resource schema.GroupResource, cluster logicalcluster.Name, obj client.Object) (client.Object, error) {
	obj = obj.DeepCopyObject().(client.Object)
	if obj.GetName() == "" && obj.GetGenerateName() != "" {
		obj.SetName(obj.GetGenerateName() + rand.String(5))
	}
	key := client.Key{Cluster: cluster, Namespace: obj.GetNamespace(), Name: obj.GetName()}
	if err := f.before("create", resource, key); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case cluster == "":
		return nil, apierrors.NewBadRequest("a write names one cluster")
	case obj.GetName() == "":
		return nil, apierrors.NewBadRequest("name or generateName is required")
	case obj.GetResourceVersion() != "":
		return nil, apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	}
	if _, ok := f.table(resource).objects[key]; ok {
		return nil, apierrors.NewAlreadyExists(resource, key.Name)
	}
	setCluster(obj, cluster)
	obj.SetUID("")
	obj.SetCreationTimestamp(metav1.Now())
	obj.SetDeletionTimestamp(nil)
	obj.SetGeneration(1)
	return f.put(resource, client.Added, obj), nil
}

// Update implements client.Writer.
func (f *Fake) Update(_ context.Context, resource schema.GroupResource, cluster logicalcluster.Name, obj client.Object) (client.Object, error) {
	obj = obj.DeepCopyObject().(client.Object)
	key := client.Key{Cluster: cluster, Namespace: obj.GetNamespace(), Name: obj.GetName()}
	if err := f.before("update", resource, key); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	current, ok := f.table(resource).objects[key]
	if !ok {
		return nil, apierrors.NewNotFound(resource, key.Name)
	}
	old := current.shared
	if err := checkVersion(resource, old, obj.GetUID(), obj.GetResourceVersion()); err != nil {
		return nil, err
	}
	setCluster(obj, cluster)
	obj.SetUID(old.GetUID())
	obj.SetResourceVersion(old.GetResourceVersion())
	obj.SetCreationTimestamp(old.GetCreationTimestamp())
	obj.SetDeletionTimestamp(old.GetDeletionTimestamp())
	obj.SetGeneration(old.GetGeneration())
	if obj.GetDeletionTimestamp() != nil && !held(obj) {
		return f.remove(resource, key), nil
	}
	if apiequality.Semantic.DeepEqual(old, obj) {
		return old, nil
	}
	if specChanged(old, obj) {
		obj.SetGeneration(old.GetGeneration() + 1)
	}
	return f.put(resource, client.Modified, obj), nil
}

// Delete implements client.Writer.
func (f *Fake) Delete(ctx context.Context, resource schema.GroupResource, key client.Key, preconditions *metav1.Preconditions) error {
	return f.DeleteWith(ctx, resource, key, &metav1.DeleteOptions{Preconditions: preconditions})
}

// DeleteWith is Delete with options, of which it honors the preconditions and the propagation policy.
func (f *Fake) DeleteWith(_ context.Context, resource schema.GroupResource, key client.Key, options *metav1.DeleteOptions) error {
	if err := f.before("delete", resource, key); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	current, ok := f.table(resource).objects[key]
	if !ok {
		return apierrors.NewNotFound(resource, key.Name)
	}
	if preconditions := options.Preconditions; preconditions != nil {
		uid, version := types.UID(""), ""
		if preconditions.UID != nil {
			uid = *preconditions.UID
		}
		if preconditions.ResourceVersion != nil {
			version = *preconditions.ResourceVersion
		}
		if err := checkVersion(resource, current.shared, uid, version); err != nil {
			return err
		}
	}
	obj := current.shared.DeepCopyObject().(client.Object)
	if policy := options.PropagationPolicy; policy != nil {
		obj.SetFinalizers(propagating(obj.GetFinalizers(), *policy))
	}
	if !held(obj) {
		f.remove(resource, key)
		return nil
	}
	if obj.GetDeletionTimestamp() == nil {
		now := metav1.Now()
		obj.SetDeletionTimestamp(&now)
		if ns, ok := obj.(*corev1.Namespace); ok {
			ns.Status.Phase = corev1.NamespaceTerminating
		}
		f.put(resource, client.Modified, obj)
	}
	return nil
}

// propagating returns finalizers with the one that stands for policy, and without another such one.
func propagating(finalizers []string, policy metav1.DeletionPropagation) []string {
	kept := slices.DeleteFunc(slices.Clone(finalizers), func(f string) bool {
		return f == metav1.FinalizerOrphanDependents || f == metav1.FinalizerDeleteDependents
	})
	switch policy {
	case metav1.DeletePropagationOrphan:
		kept = append(kept, metav1.FinalizerOrphanDependents)
	case metav1.DeletePropagationForeground:
		kept = append(kept, metav1.FinalizerDeleteDependents)
	}
	return kept
}

// held reports whether finalizers keep obj from being removed.
func held(obj client.Object) bool {
	ns, ok := obj.(*corev1.Namespace)
	return len(obj.GetFinalizers()) > 0 || (ok && len(ns.Spec.Finalizers) > 0)
}

// checkVersion returns Conflict unless uid and version, where given, are those of obj.
func checkVersion(resource schema.GroupResource, obj client.Object, uid types.UID, version string) error {
	if uid != "" && uid != obj.GetUID() {
		return apierrors.NewConflict(resource, obj.GetName(), fmt.Errorf("uid %s is not that of the object, %s", uid, obj.GetUID()))
	}
	if version != "" && version != obj.GetResourceVersion() {
		return apierrors.NewConflict(resource, obj.GetName(), fmt.Errorf("the object has been modified; please apply your changes to the latest version and try again"))
	}
	return nil
}

// specChanged reports whether anything but metadata and status differs.
func specChanged(a, b client.Object) bool {
	content := func(obj client.Object) map[string]any {
		m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
		if err != nil {
			panic(err) // Every API type converts.
		}
		m = maps.Clone(m) // that of an unstructured object is its own
		delete(m, "metadata")
		delete(m, "status")
		return m
	}
	return !apiequality.Semantic.DeepEqual(content(a), content(b))
}

// before lets the interceptor decide.
func (f *Fake) before(verb string, resource schema.GroupResource, key client.Key) error {
	f.mu.Lock()
	intercept := f.intercept
	f.mu.Unlock()
	if intercept == nil {
		return nil
	}
	return intercept(verb, resource, key)
}

// put stores obj under its next resourceVersion and tells watchers.
func (f *Fake) put(resource schema.GroupResource, event client.EventType, obj client.Object) client.Object {
	f.revision++
	obj.SetResourceVersion(strconv.FormatInt(f.revision, 10))
	if obj.GetUID() == "" {
		obj.SetUID(uuid.NewUUID())
	}
	key := client.KeyOf(obj)
	t := f.table(resource)
	t.objects[key] = entry{shared: obj, pristine: obj.DeepCopyObject().(client.Object)}
	f.note(resource, t, client.Event{Type: event, Object: obj})
	verb := map[client.EventType]string{client.Added: "create", client.Modified: "update"}[event]
	f.writes = append(f.writes, fmt.Sprintf("%s %s %s", verb, resource, key))
	f.changed.Broadcast()
	return obj
}

func (f *Fake) remove(resource schema.GroupResource, key client.Key) client.Object {
	f.revision++
	t := f.table(resource)
	obj := t.objects[key].shared.DeepCopyObject().(client.Object)
	obj.SetResourceVersion(strconv.FormatInt(f.revision, 10))
	delete(t.objects, key)
	f.note(resource, t, client.Event{Type: client.Deleted, Object: obj})
	f.writes = append(f.writes, fmt.Sprintf("delete %s %s", resource, key))
	f.changed.Broadcast()
	return obj
}

func (f *Fake) note(resource schema.GroupResource, t *table, event client.Event) {
	t.log = append(t.log, event)
	f.happened = append(f.happened, happening{resource, event})
}

func (f *Fake) table(resource schema.GroupResource) *table {
	t, ok := f.resources[resource]
	if !ok {
		t = &table{objects: map[client.Key]entry{}}
		f.resources[resource] = t
	}
	return t
}

// wakeWith wakes all who wait when ctx ends; what it returns undoes that.
func (f *Fake) wakeWith(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.changed.Broadcast()
	})
	return func() { stop() }
}

// resourceOf guesses the resource from the kind, as kubectl does for unknown kinds; it is right for every kind we have.
func (f *Fake) resourceOf(obj client.Object) schema.GroupResource {
	gvk := obj.GetObjectKind().GroupVersionKind()
	if gvk.Empty() {
		kinds, _, err := f.typer.ObjectKinds(obj)
		if err != nil {
			panic(fmt.Sprintf("clienttest: %v", err))
		}
		gvk = kinds[0]
	}
	resource, _ := meta.UnsafeGuessKindToResource(gvk)
	return resource.GroupResource()
}
