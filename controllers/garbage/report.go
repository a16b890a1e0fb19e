package garbage

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

const (
	// eventReason and reporter are those of Kubernetes.
	eventReason = "OwnerRefInvalidNamespace"
	reporter    = "garbage-collector-controller"
	eventAction = "CheckOwner"
	// eventNames begins the names of events. That of the object need not be one for an event.
	eventNames = "owner-reference."
	// maxMessage is how long the message of an event may be.
	maxMessage = 1024
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

// report makes Events that an owner is not where references to it look for it. They are hints: nothing waits for them.
func (c *collector) report(ctx context.Context, cluster logicalcluster.Name, n ownerID) {
	for _, h := range c.graph.naming(cluster, n) {
		if err := c.reportOne(ctx, h, n); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).V(2).Info("Reporting an owner in another namespace failed", "resource", h.Resource, "object", h.Key(), "err", err)
		}
	}
}

func (c *collector) reportOne(ctx context.Context, h client.Head, n ownerID) error {
	gvk, err := c.content.ServedAs(ctx, h)
	if err != nil {
		return err
	}
	about := corev1.ObjectReference{Kind: gvk.Kind, APIVersion: gvk.GroupVersion().String(), Namespace: h.Namespace, Name: h.Name, UID: h.UID}
	message := fmt.Sprintf("ownerRef [%s/%s, namespace: %s, name: %s, uid: %s] does not exist in namespace %q",
		n.apiVersion, n.kind, n.namespace, n.name, n.uid, n.namespace)
	// The name is the same each time: there is one event, however often the object is looked at.
	sum := sha256.Sum256([]byte(string(about.UID) + nameSeparator + n.keyName()))
	_, err = c.client.Create(ctx, events, h.Cluster, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: cmp.Or(h.Namespace, metav1.NamespaceDefault),
			Name:      eventNames + hex.EncodeToString(sum[:8]),
		},
		InvolvedObject:      about,
		Type:                corev1.EventTypeWarning,
		Reason:              eventReason,
		Action:              eventAction,
		Message:             message[:min(len(message), maxMessage)],
		EventTime:           metav1.NewMicroTime(c.now()),
		ReportingController: reporter,
		ReportingInstance:   reporter,
	})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
