package workspace

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

// targetOf returns the object that ws is mounted on.
func targetOf(ws *tenancyv1alpha1.Workspace) multicluster.Target {
	ref := ws.Spec.Mount.Reference
	gv, _ := schema.ParseGroupVersion(ref.APIVersion) // valid
	return multicluster.Target{Group: gv.Group, Key: client.Key{Cluster: logicalcluster.From(ws), Namespace: ref.Namespace, Name: ref.Name}}
}
