package rollout

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// CheckerFunc is a Checker that asks which objects of a consumer are not valid.
type CheckerFunc func(consumer logicalcluster.Name) []string

// Check implements Checker.
func (f CheckerFunc) Check(_ context.Context, consumer logicalcluster.Name, _ map[schema.GroupResource]*apisv1alpha1.APIResourceSchema, p *progress, _ time.Duration) (bool, error) {
	p.faults = f(consumer)
	return true, nil
}
