package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
	"github.com/annex-dev/annex/controllers/names"
	"github.com/annex-dev/annex/controllers/references"
	"github.com/annex-dev/annex/schemas/change"
	"github.com/annex-dev/annex/schemas/publish"
)

const (
	workers = 2
	// refusedRetry is when what the server refuses is tried again: limits may be raised, and names become free.
	refusedRetry = time.Minute
	// publishFailed is the reason of Events about definitions that cannot be published.
	publishFailed = "PublishFailed"
)

var (
	definitions = names.Definitions
	exports     = apisv1alpha2.Resource("apiexports")
	schemas     = apisv1alpha1.Resource("apiresourceschemas")
	rollouts    = annexv1alpha1.Resource("apiexportrollouts")
)

// Specs describes the controller.
func Specs(c multicluster.Config) []multicluster.Spec {
	r := &reconciler{Config: c}
	return []multicluster.Spec{{
		Name:    "publish",
		Workers: workers,
		Watches: []multicluster.Watch{
			{Resource: definitions, Keys: r.forDefinition},
			{Resource: exports, Keys: r.forExport},
			{Resource: schemas, Keys: forSchema},
		},
		Reconcile: r.reconcile,
	}}
}

type reconciler struct {
	multicluster.Config
	// published maps an export to the definitions that it publishes.
	published references.Index

	mu sync.Mutex
	// current has the schema of each definition that is published and as it should be.
	current map[client.Key]string
}

// set notes the schema of a definition; empty for none.
func (r *reconciler) set(definition client.Key, schema string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if schema == "" {
		delete(r.current, definition)
		return
	}
	if r.current == nil {
		r.current = map[client.Key]string{}
	}
	r.current[definition] = schema
}

// forget notes that a definition is not published.
func (r *reconciler) forget(definition client.Key) {
	r.published.Drop(definition)
	r.set(definition, "")
}

// forDefinition returns a definition that is published, or was until now. If a definition of bound resources is gone, it is the one that their
// schema was made from.
func (r *reconciler) forDefinition(ctx context.Context, event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
	annotations := event.Object.GetAnnotations()
	if key.Cluster == logicalcluster.SystemBoundCRDs {
		if event.Type != client.Deleted {
			return nil, nil
		}
		at := client.Key{Cluster: logicalcluster.Name(annotations[apisv1alpha2.AnnotationSchemaClusterKey]), Name: annotations[apisv1alpha2.AnnotationSchemaNameKey]}
		schema, err := client.Find[apisv1alpha1.APIResourceSchema](ctx, r.Client, schemas, at)
		if err != nil || schema == nil {
			return nil, err
		}
		return madeFrom(schema), nil
	}
	if _, is := annotations[publish.AnnotationKey]; is && event.Type != client.Deleted {
		return []client.Key{key}, nil
	}
	r.forget(key)
	return nil, nil
}

// forExport returns the definitions that the export publishes, unless it offers what they say: its status changes often, and a schema may be
// large.
func (r *reconciler) forExport(_ context.Context, event client.Event) ([]client.Key, error) {
	keys := r.published.From(client.KeyOf(event.Object))
	export, ok := event.Object.(*apisv1alpha2.APIExport)
	if !ok || event.Type == client.Deleted {
		return keys, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(keys, func(key client.Key) bool {
		name := r.current[key]
		return slices.ContainsFunc(export.Spec.Resources, func(r apisv1alpha2.ResourceSchema) bool { return name != "" && r.Schema == name })
	}), nil
}

// forSchema returns the definition that a deleted schema was made from.
func forSchema(_ context.Context, event client.Event) ([]client.Key, error) {
	if schema, ok := event.Object.(*apisv1alpha1.APIResourceSchema); ok && event.Type == client.Deleted {
		return madeFrom(schema), nil
	}
	return nil, nil
}

// madeFrom returns the key of the definition that schema was made from; none if it was not.
func madeFrom(schema *apisv1alpha1.APIResourceSchema) []client.Key {
	if from := schema.Annotations[publish.FromAnnotationKey]; from != "" {
		return []client.Key{{Cluster: logicalcluster.From(schema), Name: from}}
	}
	return nil
}

// errRefused is wrapped by what users must know.
var errRefused = errors.New("not published")

func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	definition, err := client.Find[apiextensionsv1.CustomResourceDefinition](ctx, r.Client, definitions, key)
	if err != nil {
		return reconcile.Result{}, err
	}
	if definition == nil || definition.DeletionTimestamp != nil {
		r.forget(key)
		return reconcile.Result{}, nil
	}
	name, is := publish.ExportOf(definition.Annotations, definition.Spec.Group)
	if !is {
		r.forget(key)
		return reconcile.Result{}, nil
	}
	export := client.Key{Cluster: key.Cluster, Name: name}
	r.published.Set(key, export)
	r.set(key, "")
	err = r.publish(ctx, definition, export)
	if errors.Is(err, errRefused) {
		r.Tell(definition, apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"), corev1.EventTypeWarning, publishFailed, err.Error())
		return reconcile.Result{RequeueAfter: refusedRetry}, nil
	}
	return reconcile.Result{}, err
}

// publish makes schema and export follow definition, and removes schemas that nothing uses any more.
func (r *reconciler) publish(ctx context.Context, definition *apiextensionsv1.CustomResourceDefinition, export client.Key) error {
	schema, err := publish.SchemaOf(definition)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	if err := r.ensureSchema(ctx, export.Cluster, schema); err != nil {
		return err
	}
	if err := r.ensureExport(ctx, export, definition, schema); err != nil {
		return err
	}
	if err := r.cleanUp(ctx, export.Cluster, definition.Name, schema.Name); err != nil {
		return err
	}
	r.set(client.Key{Cluster: export.Cluster, Name: definition.Name}, schema.Name)
	return nil
}

// ensureSchema creates schema, unless one with the same content exists under its name.
func (r *reconciler) ensureSchema(ctx context.Context, cluster logicalcluster.Name, schema *apisv1alpha1.APIResourceSchema) error {
	key := client.Key{Cluster: cluster, Name: schema.Name}
	found, err := client.FindNow[apisv1alpha1.APIResourceSchema](ctx, r.Client, r.Live, schemas, key)
	if err != nil {
		return err
	}
	if found != nil {
		if !apiequality.Semantic.DeepEqual(found.Spec, schema.Spec) {
			return fmt.Errorf("%w: APIResourceSchema %q exists with another content", errRefused, schema.Name)
		}
		return nil
	}
	_, err = r.Client.Create(ctx, schemas, cluster, schema)
	return wrote(err, "creating APIResourceSchema "+schema.Name)
}

// ensureExport makes the export called key name schema, which was made from definition. If definition allows the change to be breaking, the export
// does so, too.
func (r *reconciler) ensureExport(ctx context.Context, key client.Key, definition *apiextensionsv1.CustomResourceDefinition, schema *apisv1alpha1.APIResourceSchema) error {
	entry := apisv1alpha2.ResourceSchema{
		Name: schema.Spec.Names.Plural, Group: schema.Spec.Group, Schema: schema.Name,
		Storage: apisv1alpha2.ResourceSchemaStorage{CRD: &apisv1alpha2.ResourceSchemaStorageCRD{}},
	}
	found, err := client.FindNow[apisv1alpha2.APIExport](ctx, r.Client, r.Live, exports, key)
	switch {
	case err != nil:
		return err
	case found == nil:
		export := &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: key.Name}}
		export.Spec.Resources = []apisv1alpha2.ResourceSchema{entry}
		_, err := r.Client.Create(ctx, exports, key.Cluster, export)
		return wrote(err, "creating APIExport "+key.Name)
	case found.DeletionTimestamp != nil:
		return nil // an event comes when it is gone
	}
	export := found.DeepCopy()
	at := slices.IndexFunc(export.Spec.Resources, func(r apisv1alpha2.ResourceSchema) bool { return r.Name == entry.Name && r.Group == entry.Group })
	switch {
	case at < 0:
		export.Spec.Resources = append(export.Spec.Resources, entry)
	case export.Spec.Resources[at].Schema == entry.Schema:
		return nil
	default:
		owned, err := r.owns(ctx, key.Cluster, definition.Name, export.Spec.Resources[at])
		if err != nil {
			return err
		}
		if !owned {
			return fmt.Errorf("%w: APIExport %q offers %s.%s with APIResourceSchema %q, which was not made from this CustomResourceDefinition: to publish it, remove the entry from the APIExport",
				errRefused, key.Name, entry.Name, entry.Group, export.Spec.Resources[at].Schema)
		}
		export.Spec.Resources[at].Schema = entry.Schema
	}
	if change.Allowed(definition.Annotations, schema.Name) && !change.Allowed(export.Annotations, schema.Name) {
		metav1.SetMetaDataAnnotation(&export.ObjectMeta, annexv1alpha1.AllowBreakingChangeAnnotationKey, schema.Name)
	}
	_, err = r.Client.Update(ctx, exports, key.Cluster, export)
	return wrote(err, "updating APIExport "+key.Name)
}

// owns reports whether the entry of an export names a schema that was made from the definition called from.
func (r *reconciler) owns(ctx context.Context, cluster logicalcluster.Name, from string, entry apisv1alpha2.ResourceSchema) (bool, error) {
	schema, err := client.FindNow[apisv1alpha1.APIResourceSchema](ctx, r.Client, r.Live, schemas, client.Key{Cluster: cluster, Name: entry.Schema})
	return schema != nil && schema.Annotations[publish.FromAnnotationKey] == from, err
}

// cleanUp deletes the schemas that were made from the definition called from and that nothing uses, except the current one.
func (r *reconciler) cleanUp(ctx context.Context, cluster logicalcluster.Name, from, current string) error {
	all, err := client.List[apisv1alpha1.APIResourceSchema](ctx, r.Client, schemas, client.Scope{Cluster: cluster})
	if err != nil {
		return err
	}
	var named map[string]bool
	for _, schema := range all {
		if schema.Annotations[publish.FromAnnotationKey] != from || schema.Name == current || schema.DeletionTimestamp != nil {
			continue
		}
		if named == nil {
			if named, err = r.named(ctx, cluster); err != nil {
				return err
			}
		}
		if named[schema.Name] {
			continue
		}
		// The definition of a bound schema is there as long as any binding uses it. When it goes, an event comes.
		bound, err := client.FindNow[apiextensionsv1.CustomResourceDefinition](ctx, r.Client, r.Live, definitions,
			client.Key{Cluster: logicalcluster.SystemBoundCRDs, Name: string(schema.UID)})
		if err != nil {
			return err
		}
		if bound != nil {
			continue
		}
		uid := schema.UID
		err = r.Client.Delete(ctx, schemas, client.Key{Cluster: cluster, Name: schema.Name}, &metav1.Preconditions{UID: &uid})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("deleting APIResourceSchema %q, which nothing uses any more: %w", schema.Name, err)
		}
	}
	return nil
}

// named returns the schemas that exports of cluster name, and those to which consumers may return.
func (r *reconciler) named(ctx context.Context, cluster logicalcluster.Name) (map[string]bool, error) {
	all, err := client.List[apisv1alpha2.APIExport](ctx, r.Live, exports, client.Scope{Cluster: cluster})
	if err != nil {
		return nil, err
	}
	named := map[string]bool{}
	for _, export := range all {
		for _, resource := range export.Spec.Resources {
			named[resource.Schema] = true
		}
	}
	back, err := client.List[annexv1alpha1.APIExportRollout](ctx, r.Live, rollouts, client.Scope{Cluster: cluster})
	if err != nil {
		return nil, err
	}
	for _, rollout := range back {
		for _, resource := range rollout.Status.Resources {
			named[resource.From], named[resource.To] = true, true
		}
	}
	return named, nil
}

// wrote returns the error of a write, as one that users must know if it will fail again.
func wrote(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsBadRequest(err):
		return fmt.Errorf("%w: %s: %w", errRefused, what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
