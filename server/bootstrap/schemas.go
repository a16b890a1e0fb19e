package bootstrap

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/util"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
	"github.com/annex-dev/annex/registry/corekcp"
	"github.com/annex-dev/annex/registry/tenancy"
	"github.com/annex-dev/annex/registry/topology"
)

// schemaEpoch is the prefix of the name of every schema that is created here. It is the date of this naming scheme. The hash after it
// distinguishes schemas of one resource.
const schemaEpoch = "v261122"

// exported is a resource that root exports. It is served by typed storage; the schema shows it to clients.
type exported struct {
	export   string
	gv       schema.GroupVersion
	kind     string
	plural   string
	singular string
	short    []string
	model    util.OpenAPIModelNamer
	status   bool
	columns  []apiextensionsv1.CustomResourceColumnDefinition
}

// exportedResources returns what root exports.
func exportedResources() []exported {
	tenancyGV, topologyGV := tenancyv1alpha1.SchemeGroupVersion, topologyv1alpha1.SchemeGroupVersion
	return []exported{
		{export: tenancyGV.Group, gv: tenancyGV, kind: "Workspace", plural: "workspaces", singular: "workspace", short: []string{"ws"},
			model: tenancyv1alpha1.Workspace{}, status: true, columns: tenancy.WorkspaceColumns()},
		{export: tenancyGV.Group, gv: tenancyGV, kind: "WorkspaceType", plural: "workspacetypes", singular: "workspacetype", short: []string{"wst"},
			model: tenancyv1alpha1.WorkspaceType{}, status: true, columns: tenancy.WorkspaceTypeColumns()},
		{export: topologyGV.Group, gv: topologyGV, kind: "Partition", plural: "partitions", singular: "partition",
			model: topologyv1alpha1.Partition{}, columns: topology.PartitionColumns()},
		{export: topologyGV.Group, gv: topologyGV, kind: "PartitionSet", plural: "partitionsets", singular: "partitionset",
			model: topologyv1alpha1.PartitionSet{}, status: true, columns: topology.PartitionSetColumns()},
		{export: ShardsExport, gv: corev1alpha1.SchemeGroupVersion, kind: "Shard", plural: "shards", singular: "shard",
			model: corev1alpha1.Shard{}, status: true, columns: corekcp.ShardColumns()},
	}
}

// ShardsExport is the name of the APIExport of shards.
const ShardsExport = "shards.core.kcp.io"

// schemaOf returns the APIResourceSchema of a resource. Its name contains the hash of its content.
func schemaOf(models *models, r exported) (*apisv1alpha1.APIResourceSchema, error) {
	structural, err := models.structural(r.model.OpenAPIModelName())
	if err != nil {
		return nil, fmt.Errorf("making the schema of %s: %w", r.plural, err)
	}
	served := true
	version := apisv1alpha1.APIResourceVersion{
		Name:                     r.gv.Version,
		Served:                   &served,
		Storage:                  true,
		Schema:                   runtime.RawExtension{Raw: structural},
		AdditionalPrinterColumns: r.columns,
	}
	if r.status {
		version.Subresources.Status = &apiextensionsv1.CustomResourceSubresourceStatus{}
	}
	spec := apisv1alpha1.APIResourceSchemaSpec{
		Group: r.gv.Group,
		Names: apiextensionsv1.CustomResourceDefinitionNames{
			Plural: r.plural, Singular: r.singular, Kind: r.kind, ListKind: r.kind + "List", ShortNames: r.short, Categories: []string{"kcp"},
		},
		Scope:    apiextensionsv1.ClusterScoped,
		Versions: []apisv1alpha1.APIResourceVersion{version},
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("hashing the schema of %s: %w", r.plural, err)
	}
	sum := sha256.Sum256(raw)
	return &apisv1alpha1.APIResourceSchema{
		ObjectMeta: metav1.ObjectMeta{
			Name:        fmt.Sprintf("%s-%s.%s.%s", schemaEpoch, hex.EncodeToString(sum[:4]), r.plural, r.gv.Group),
			Annotations: map[string]string{logicalcluster.PathAnnotationKey: logicalcluster.Root.String()},
		},
		Spec: spec,
	}, nil
}

// keptExtensions are the OpenAPI extensions that a structural schema supports.
var keptExtensions = map[string]bool{
	"x-kubernetes-list-type":               true,
	"x-kubernetes-list-map-keys":           true,
	"x-kubernetes-map-type":                true,
	"x-kubernetes-int-or-string":           true,
	"x-kubernetes-embedded-resource":       true,
	"x-kubernetes-preserve-unknown-fields": true,
	"x-kubernetes-validations":             true,
}

func keep(key string) bool { return !strings.HasPrefix(key, "x-") || keptExtensions[key] }
