package engine

import (
	"context"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/annex-dev/annex/client"
)

// bringStatus gives obj the status of its counterpart. An operator that has said nothing yet changes nothing.
func (s *syncer) bringStatus(ctx context.Context, obj, counterpart *unstructured.Unstructured) error {
	key := client.KeyOf(obj)
	status, ok, err := s.converter.StatusOf(counterpart, key)
	if err != nil || !ok || apiequality.Semantic.DeepEqual(obj.Object["status"], status) {
		return err
	}
	changed := obj.DeepCopy()
	changed.Object["status"] = status
	// With the resourceVersion: what was read is what is changed.
	if in := s.manager.In(key.Cluster); s.converter.Status {
		err = in.Status().Update(ctx, changed, ctrlclient.FieldOwner(component))
	} else {
		err = in.Update(ctx, changed, ctrlclient.FieldOwner(component))
	}
	if err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	s.wrote("workspace", s.converter.Resource.String(), "status")
	obj.SetResourceVersion(changed.GetResourceVersion())
	obj.Object["status"] = changed.Object["status"]
	return nil
}
