package storagemigration

import (
	"slices"
	"strings"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// result is what was done so far.
type result struct {
	consumers annexv1alpha1.APIStorageMigrationConsumers
	objects   annexv1alpha1.APIStorageMigrationObjects
	failures  []annexv1alpha1.APIStorageMigrationFailure
}

// failed notes that an object that is stored in a version could not be rewritten. If it is hidden, nothing is said of it but that.
func (r *result) failed(h client.Head, version, message string, hidden bool) {
	r.objects.Failed++
	if hidden {
		if at := len(r.failures) - 1; at < 0 || r.failures[at].Cluster != h.Cluster.String() {
			r.left(h.Cluster, "objects have failed, which are not named because the workspace is switched off")
		}
		return
	}
	r.note(annexv1alpha1.APIStorageMigrationFailure{
		Cluster: h.Cluster.String(), Namespace: strings.Clone(h.Namespace), Name: strings.Clone(h.Name), Version: strings.Clone(version), Message: message,
	})
}

// left notes that a consumer is left as it is.
func (r *result) left(cluster logicalcluster.Name, message string) {
	r.note(annexv1alpha1.APIStorageMigrationFailure{Cluster: cluster.String(), Message: message})
}

func (r *result) note(f annexv1alpha1.APIStorageMigrationFailure) {
	if len(r.failures) < annexv1alpha1.MaxMigrationFailures {
		r.failures = append(r.failures, f)
	}
}

// into fills in a status.
func (r *result) into(status *annexv1alpha1.APIStorageMigrationStatus) {
	status.Consumers, status.Objects, status.Failures = r.consumers, r.objects, slices.Clone(r.failures)
}
