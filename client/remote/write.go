package remote

import (
	"context"
	"encoding/json"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// Create implements client.Writer. When obj has a status and the kind has a status subresource, the status is a second
// request, as in [Client.Update].
func (c *Client) Create(ctx context.Context, gr schema.GroupResource, cluster logicalcluster.Name, obj client.Object) (client.Object, error) {
	if err := checkAddress(cluster, obj.GetNamespace()); err != nil {
		return nil, err
	}
	r, err := c.resource(ctx, gr)
	if err != nil {
		return nil, err
	}
	stored, err := r.write(ctx, r.at(r.rest.Post(), cluster, obj.GetNamespace()), cluster, obj)
	if err != nil {
		return nil, err
	}
	empty, err := r.object()
	if err != nil {
		return nil, err
	}
	if none, err := sameStatus(empty, obj); none || err != nil {
		return stored, err
	}
	return r.writeStatus(ctx, cluster, stored, obj)
}

// Update implements client.Writer. Over HTTP, spec and status are separate. The first request writes everything except the
// status. If the status that the server then has differs from that of obj, a second request writes the status; it is a
// Conflict if somebody else has written in between. When the second request fails, the first one is not undone, and Update
// returns the error of the second: read the object again and repeat the update.
func (c *Client) Update(ctx context.Context, gr schema.GroupResource, cluster logicalcluster.Name, obj client.Object) (client.Object, error) {
	if err := checkAddress(cluster, obj.GetNamespace(), obj.GetName()); err != nil {
		return nil, err
	}
	r, err := c.resource(ctx, gr)
	if err != nil {
		return nil, err
	}
	stored, err := r.write(ctx, r.at(r.rest.Put(), cluster, obj.GetNamespace()).Name(obj.GetName()), cluster, obj)
	if err != nil {
		return nil, err
	}
	return r.writeStatus(ctx, cluster, stored, obj)
}

// Delete implements client.Writer.
func (c *Client) Delete(ctx context.Context, gr schema.GroupResource, key client.Key, preconditions *metav1.Preconditions) error {
	if err := checkAddress(key.Cluster, key.Namespace, key.Name); err != nil {
		return err
	}
	r, err := c.resource(ctx, gr)
	if err != nil {
		return err
	}
	// Not every scheme of a caller knows how to encode options.
	body, err := json.Marshal(&metav1.DeleteOptions{
		TypeMeta:      metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		Preconditions: preconditions,
	})
	if err != nil {
		return fmt.Errorf("encoding the options of a deletion: %w", err)
	}
	return r.at(r.rest.Delete(), key.Cluster, key.Namespace).Name(key.Name).
		SetHeader("Content-Type", runtime.ContentTypeJSON).Body(body).Do(ctx).Error()
}

// write sends obj and returns what the server stored.
func (r *resource) write(ctx context.Context, request *rest.Request, cluster logicalcluster.Name, obj runtime.Object) (client.Object, error) {
	stored, err := r.object()
	if err != nil {
		return nil, err
	}
	// Encoding sets the kind for a moment, and obj may be shared.
	if err := request.Body(obj.DeepCopyObject()).Do(ctx).Into(stored); err != nil {
		return nil, err
	}
	return located(stored, cluster)
}

// writeStatus gives stored, which the server has just stored, the status of wanted, and returns what is stored then.
func (r *resource) writeStatus(ctx context.Context, cluster logicalcluster.Name, stored, wanted client.Object) (client.Object, error) {
	if same, err := sameStatus(stored, wanted); same || err != nil {
		return stored, err
	}
	// All but the status is as stored: a status update of some kinds writes metadata, too.
	next, err := fields(stored)
	if err != nil {
		return nil, err
	}
	status, err := statusOf(wanted)
	if err != nil {
		return nil, err
	}
	if status == nil {
		status = map[string]any{}
	}
	next["status"] = status
	obj := &unstructured.Unstructured{Object: next}
	obj.SetGroupVersionKind(r.gvk)
	at := func(verb *rest.Request) *rest.Request {
		return r.at(verb, cluster, stored.GetNamespace()).Name(stored.GetName())
	}
	updated, err := r.write(ctx, at(r.rest.Put()).SubResource("status"), cluster, obj)
	if apierrors.IsNotFound(err) {
		// Either the kind has no status subresource, and the first request stored all that the server takes; or the object is
		// gone, which is as it should be when the first request removed its last finalizer.
		if stored.GetDeletionTimestamp() != nil || at(r.rest.Get()).Do(ctx).Error() == nil {
			return stored, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("writing the status, after the rest was stored: %w", err)
	}
	return updated, nil
}

// sameStatus reports whether two objects have equal statuses; none and an empty one are equal.
func sameStatus(a, b runtime.Object) (bool, error) {
	one, err := statusOf(a)
	if err != nil {
		return false, err
	}
	other, err := statusOf(b)
	if err != nil {
		return false, err
	}
	return apiequality.Semantic.DeepEqual(one, other), nil
}

// statusOf returns the status of obj; nil when it has none.
func statusOf(obj runtime.Object) (map[string]any, error) {
	content, err := fields(obj)
	status, _ := content["status"].(map[string]any)
	return status, err
}

func fields(obj runtime.Object) (map[string]any, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, fmt.Errorf("reading the fields of a %T: %w", obj, err)
	}
	return content, nil
}
