package garbage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

const (
	// eventReason and eventSource are those of Kubernetes.
	eventReason = "OwnerRefInvalidNamespace"
	eventSource = "garbage-collector-controller"
	// reported is how many dependents of one owner get an Event.
	reported = 16
)

// naming returns the heads of some of the objects that call an owner n, as far as the graph has them.
func (g *graph) naming(cluster logicalcluster.Name, n ownerID) []client.Head {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.clusters[cluster]
	if c == nil || c.named[n] == nil {
		return nil
	}
	var some []client.Head
	for o := range c.named[n].dependents {
		if len(some) == reported {
			break
		}
		kind := o.kind.Value()
		some = append(some, client.Head{Resource: kind.Resource, Bucket: kind.Bucket, Cluster: cluster, Namespace: o.namespace, Name: o.name, UID: o.uid})
	}
	return some
}

// report makes Events that an owner is not where references to it look for it.
func (c *collector) report(ctx context.Context, cluster logicalcluster.Name, n ownerID) error {
	for _, h := range c.graph.naming(cluster, n) {
		if err := c.reportOne(ctx, h, n); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) reportOne(ctx context.Context, h client.Head, n ownerID) error {
	gvk, err := c.content.ServedAs(ctx, h)
	if err != nil {
		return fmt.Errorf("reporting an owner in another namespace: %w", err)
	}
	about := corev1.ObjectReference{Kind: gvk.Kind, APIVersion: gvk.GroupVersion().String(), Namespace: h.Namespace, Name: h.Name, UID: h.UID}
	namespace := h.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	// The name is the same each time: there is one event, however often the object is looked at.
	sum := sha256.Sum256([]byte(string(about.UID) + nameSeparator + n.keyName()))
	now := metav1.NewTime(c.now())
	_, err = c.client.Create(ctx, events, h.Cluster, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: about.Name + "." + hex.EncodeToString(sum[:8])},
		InvolvedObject: about,
		Type:           corev1.EventTypeWarning,
		Reason:         eventReason,
		Message: fmt.Sprintf("ownerRef [%s/%s, namespace: %s, name: %s, uid: %s] does not exist in namespace %q",
			n.apiVersion, n.kind, n.namespace, n.name, n.uid, n.namespace),
		Source:         corev1.EventSource{Component: eventSource},
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	})
	switch {
	case err == nil, apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err), apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		return nil // it is there, or its namespace is not, or the name of the object is none for an Event
	}
	return fmt.Errorf("reporting an owner in another namespace: %w", err)
}
