package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/cmd/annex/sync/config"
	"github.com/annex-dev/annex/cmd/annex/sync/names"
	"github.com/annex-dev/annex/cmd/annex/sync/projection"
)

// copies are the related objects of one object during one reconcile.
type copies struct {
	*syncer
	key client.Key
	obj *unstructured.Unstructured // nil if it is gone
	// owner is the value of names.ForLabel.
	owner string
	// kept are the copies that are as they should be.
	kept map[place]bool
}

// place is where a copy is.
type place struct {
	side     config.Origin
	resource string
	types.NamespacedName
}

func (s *syncer) copiesOf(key client.Key) *copies {
	return &copies{syncer: s, key: key, owner: s.names.ForValue(s.converter.Resource.String(), key), kept: map[place]bool{}}
}

func (s *syncer) newCopies(obj *unstructured.Unstructured) *copies {
	c := s.copiesOf(client.KeyOf(obj))
	c.obj = obj
	return c
}

// side is one side for reading and writing related objects.
type side struct {
	name   config.Origin
	reader ctrlclient.Reader // of the server
	writer ctrlclient.Writer
}

func (c *copies) workspace(ctx context.Context) (side, error) {
	cluster, err := c.manager.GetCluster(ctx, c.key.Cluster)
	if err != nil {
		return side{}, err
	}
	return side{config.FromWorkspace, cluster.GetAPIReader(), cluster.GetClient()}, nil
}

func (c *copies) serviceSide() side {
	return side{config.FromService, c.service.GetAPIReader(), c.service.GetClient()}
}

func (c *copies) sideOf(ctx context.Context, name config.Origin) (side, error) {
	if name == config.FromWorkspace {
		return c.workspace(ctx)
	}
	return c.serviceSide(), nil
}

// toService copies what the operator needs.
func (c *copies) toService(ctx context.Context) error { return c.bring(ctx, config.FromWorkspace, nil) }

// toWorkspace copies what the operator has made.
func (c *copies) toWorkspace(ctx context.Context, counterpart *unstructured.Unstructured) error {
	return c.bring(ctx, config.FromService, counterpart)
}

// bring copies all that comes from origin. If something is refused, the rest is copied nevertheless, and the first refusal returned.
func (c *copies) bring(ctx context.Context, origin config.Origin, counterpart *unstructured.Unstructured) error {
	if len(c.related) == 0 {
		return nil
	}
	workspace, err := c.workspace(ctx)
	if err != nil {
		return err
	}
	var refused error
	for _, r := range c.related {
		if r.Origin != origin {
			continue
		}
		pairs, err := c.pairs(ctx, r, c.obj, counterpart)
		if err != nil {
			return err
		}
		for _, p := range pairs {
			if origin == config.FromWorkspace {
				err = c.one(ctx, r, workspace, p.workspace, c.serviceSide(), p.service)
			} else {
				err = c.one(ctx, r, c.serviceSide(), p.service, workspace, p.workspace)
			}
			err = c.claimed(r, err)
			switch {
			case err == nil:
			case !isRefusal(err):
				return err
			case refused == nil:
				refused = err
			}
		}
	}
	return refused
}

// claimed explains an error of a workspace that does not let the agent read or write.
func (c *copies) claimed(r related, err error) error {
	var denied *workspaceError
	if errors.As(err, &denied) && apierrors.IsForbidden(denied.error) {
		return refuse(reasonNotClaimed, "the related %s %s are not synchronized: accept the permission claim on %s in the APIBinding, also for objects with this name", r.Resource, r.ID, r.Resource)
	}
	return err
}

// one copies one object. What is not there at the origin is not kept at the other side.
func (c *copies) one(ctx context.Context, r related, from side, source types.NamespacedName, to side, target types.NamespacedName) error {
	original, err := read(ctx, from, r.Resource, source)
	if err != nil || original == nil {
		return err
	}
	if r.selector != nil && !r.selector.Matches(labels.Set(original.GetLabels())) {
		return nil
	}
	if c.names.IsCopy(original, c.sourceValue(to.name, r.Resource, target)) {
		return nil // it came from there
	}
	if secret, ok := original.(*corev1.Secret); ok && (secret.Type == corev1.SecretTypeServiceAccountToken || secret.Type == corev1.SecretTypeBootstrapToken) {
		return refuse(reasonRefused, "Secret %q is of the type %s, which means something for the API server itself and is not copied", source.Name, secret.Type)
	}
	mark := c.sourceValue(from.name, r.Resource, source)
	found, err := read(ctx, to, r.Resource, target)
	switch {
	case err != nil:
		return err
	case found == nil:
		created := newRelatedObject(r.Resource)
		created.SetNamespace(target.Namespace)
		created.SetName(target.Name)
		c.names.MarkCopy(created, c.owner, mark)
		fill(created, original, r.Keys)
		if err := of(to, to.writer.Create(ctx, created, ctrlclient.FieldOwner(component))); err != nil {
			return fmt.Errorf("creating the copy of %s: %w", r.Resource, err)
		}
		c.count(to, r.Resource, "create")
	case !c.names.IsCopy(found, mark):
		return refuse(reasonNameTaken, "%s %q is not synchronized: an object of this name exists in the %s, which %s has not made", r.Resource, target.Name, map[config.Origin]string{config.FromService: "service cluster", config.FromWorkspace: "workspace"}[to.name], component)
	default:
		if err := c.renew(ctx, r, to, found, original); err != nil {
			return err
		}
	}
	c.kept[place{to.name, r.Resource, target}] = true
	return nil
}

// renew makes a copy current.
func (c *copies) renew(ctx context.Context, r related, to side, found, original ctrlclient.Object) error {
	if found.GetDeletionTimestamp() != nil {
		return fmt.Errorf("%w: a copy is being deleted", errWait)
	}
	wanted := found.DeepCopyObject().(ctrlclient.Object)
	fill(wanted, original, r.Keys)
	if apiequality.Semantic.DeepEqual(found, wanted) {
		return nil
	}
	if a, ok := found.(*corev1.Secret); ok && a.Type != wanted.(*corev1.Secret).Type {
		// The type of a Secret cannot be changed.
		if err := c.drop(ctx, to, r.Resource, found); err != nil {
			return err
		}
		return fmt.Errorf("%w: a copy of another type is being deleted", errWait)
	}
	if err := of(to, to.writer.Update(ctx, wanted, ctrlclient.FieldOwner(component))); err != nil {
		return fmt.Errorf("updating the copy of %s: %w", r.Resource, err)
	}
	c.count(to, r.Resource, "update")
	return nil
}

// sourceValue returns the mark of copies of what is at a place.
func (c *copies) sourceValue(at config.Origin, resource string, name types.NamespacedName) string {
	key := client.Key{Namespace: name.Namespace, Name: name.Name}
	if at == config.FromWorkspace {
		key.Cluster = c.key.Cluster
	}
	return c.names.SourceValue(resource, key)
}

func (c *copies) count(at side, resource, verb string) {
	c.wrote(map[config.Origin]string{config.FromService: "service", config.FromWorkspace: "workspace"}[at.name], resource, verb)
}

// dropOthers deletes the copies on both sides that were made for the object and are not kept. A copy that another object needs becomes that
// one's.
func (c *copies) dropOthers(ctx context.Context) error {
	done := map[place]bool{}
	for _, r := range c.related {
		for _, at := range []place{
			{config.FromService, r.Resource, types.NamespacedName{Namespace: c.converter.RelatedNamespace(r.Related, c.key)}},
			{config.FromWorkspace, r.Resource, types.NamespacedName{Namespace: projection.WorkspaceNamespace(r.Related, c.key)}},
		} {
			if done[at] {
				continue
			}
			done[at] = true
			if err := c.dropOthersAt(ctx, at); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *copies) dropOthersAt(ctx context.Context, at place) error {
	var reader ctrlclient.Reader = c.service.GetCache()
	if at.side == config.FromWorkspace {
		reader = c.manager.In(c.key.Cluster)
	}
	if c.obj == nil {
		// The last look: what another object has just handed over may not be in the cache.
		where, err := c.sideOf(ctx, at.side)
		if err != nil {
			return err
		}
		reader = where.reader
	}
	kind := relatedKinds[at.resource]
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := reader.List(ctx, list, ctrlclient.InNamespace(at.Namespace), ctrlclient.MatchingLabels{names.AgentLabel: c.names.Agent, names.ForLabel: c.owner}); err != nil {
		if at.side == config.FromWorkspace && apierrors.IsForbidden(err) {
			return nil // the claim is not accepted, or no more: what is there is the consumer's
		}
		return fmt.Errorf("looking for copies of %s: %w", at.resource, err)
	}
	for i := range list.Items {
		at.Name = list.Items[i].Name
		if c.kept[at] || list.Items[i].DeletionTimestamp != nil {
			continue
		}
		if err := c.dropOne(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

func (c *copies) dropOne(ctx context.Context, at place) error {
	where, err := c.sideOf(ctx, at.side)
	if err != nil {
		return err
	}
	found, err := read(ctx, where, at.resource, at.NamespacedName)
	if err != nil || found == nil {
		return err
	}
	// From the server: what the cache says may be of another object by now.
	if found.GetLabels()[names.AgentLabel] != c.names.Agent || found.GetLabels()[names.ForLabel] != c.owner {
		return nil
	}
	other, key, err := c.heir(ctx, at)
	if err != nil {
		return err
	}
	if other == nil {
		return c.drop(ctx, where, at.resource, found)
	}
	labels := found.GetLabels()
	labels[names.ForLabel] = other.copiesOf(key).owner
	found.SetLabels(labels)
	if err := of(where, where.writer.Update(ctx, found, ctrlclient.FieldOwner(component))); err != nil {
		return fmt.Errorf("handing over a copy: %w", err)
	}
	c.count(where, at.resource, "update")
	// An heir that was let go before it could see the copy would leave it behind.
	stays, err := other.stays(ctx, key)
	if err != nil || stays {
		return err
	}
	return c.drop(ctx, where, at.resource, found)
}

// heir returns another object that names what is at a place, with its syncer; nil if there is none.
func (c *copies) heir(ctx context.Context, at place) (*syncer, client.Key, error) {
	for _, s := range c.following() {
		if !slices.Contains(s.relatedResources(), at.resource) {
			continue
		}
		var keys []client.Key
		if at.side == config.FromService {
			keys = s.whoNamesInService(ctx, at.resource, at.Namespace, at.Name)
		} else {
			keys = s.whoNamesInWorkspace(ctx, at.resource, client.Key{Cluster: c.key.Cluster, Namespace: at.Namespace, Name: at.Name})
		}
		for _, key := range keys {
			if s == c.syncer && key == c.key {
				continue
			}
			if stays, err := s.stays(ctx, key); err != nil || stays {
				return s, key, err
			}
		}
	}
	return nil, client.Key{}, nil
}

// stays reports whether the object called key is synchronized, as its server says.
func (s *syncer) stays(ctx context.Context, key client.Key) (bool, error) {
	cluster, err := s.manager.GetCluster(ctx, key.Cluster)
	if err != nil {
		return false, err
	}
	obj := s.newConsumer()
	err = cluster.GetAPIReader().Get(ctx, ctrlclient.ObjectKey{Namespace: key.Namespace, Name: key.Name}, obj)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading an object that needs a copy: %w", err)
	}
	selected, err := s.selects(ctx, obj)
	return selected && obj.GetDeletionTimestamp() == nil, err
}

// drop deletes what was just found to be the agent's own.
func (c *copies) drop(ctx context.Context, at side, resource string, found ctrlclient.Object) error {
	uid, version := found.GetUID(), found.GetResourceVersion()
	err := of(at, at.writer.Delete(ctx, found, ctrlclient.Preconditions{UID: &uid, ResourceVersion: &version}))
	if ctrlclient.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting a copy of %s: %w", resource, err)
	}
	c.count(at, resource, "delete")
	return nil
}

// read reads a related object from the server; nil if there is none.
func read(ctx context.Context, from side, resource string, name types.NamespacedName) (ctrlclient.Object, error) {
	obj := newRelatedObject(resource)
	err := from.reader.Get(ctx, name, obj)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // nothing is there
	}
	if err != nil {
		return nil, fmt.Errorf("reading related %s: %w", resource, of(from, err))
	}
	return obj, nil
}

func newRelatedObject(resource string) ctrlclient.Object {
	if resource == "secrets" {
		return &corev1.Secret{}
	}
	return &corev1.ConfigMap{}
}

// fill gives to the content of from: all keys, or those of keys that it has.
func fill(to, from ctrlclient.Object, keys []string) {
	switch from := from.(type) {
	case *corev1.Secret:
		to := to.(*corev1.Secret)
		to.Data = only(from.Data, keys)
		to.Type = from.Type
		if len(keys) > 0 && to.Type != corev1.SecretTypeOpaque {
			// Types ask for keys.
			to.Type = corev1.SecretTypeOpaque
		}
	case *corev1.ConfigMap:
		to := to.(*corev1.ConfigMap)
		to.Data, to.BinaryData = only(from.Data, keys), only(from.BinaryData, keys)
	}
}

func only[V any](data map[string]V, keys []string) map[string]V {
	if len(keys) == 0 {
		return data
	}
	kept := map[string]V{}
	for _, key := range keys {
		if value, ok := data[key]; ok {
			kept[key] = value
		}
	}
	return kept
}
