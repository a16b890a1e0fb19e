package kinds

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	cachev1alpha1 "github.com/annex-dev/annex/apis/cache/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
)

// ShardsExport is the name of root's APIExport of shards.
const ShardsExport = "shards.core.kcp.io"

type columns = []apiextensionsv1.CustomResourceColumnDefinition

var age = apiextensionsv1.CustomResourceColumnDefinition{Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"}

// condition returns a column with the status of a condition.
func condition(name, conditionType, description string) apiextensionsv1.CustomResourceColumnDefinition {
	return apiextensionsv1.CustomResourceColumnDefinition{
		Name: name, Type: "string", JSONPath: `.status.conditions[?(@.type=="` + conditionType + `")].status`, Description: description,
	}
}

// ourGroups are our own groups.
func ourGroups() []Group {
	return []Group{
		{Name: tenancyv1alpha1.GroupName, Register: adders{tenancyv1alpha1.AddToScheme, tenancyv1alpha1.RegisterDefaults}, Host: true, Rows: []Row{
			ours("v1alpha1", Row{
				Resource: "workspaces", Singular: "workspace", ShortNames: []string{"ws"}, Object: &tenancyv1alpha1.Workspace{}, List: &tenancyv1alpha1.WorkspaceList{},
				Serving: WhereBound, Export: tenancyv1alpha1.GroupName,
				Columns: columns{
					{Name: "Type", Type: "string", JSONPath: ".spec.type.name", Description: "Type of the workspace"},
					{Name: "Region", Type: "string", JSONPath: ".metadata.labels['region']", Description: "Region of the workspace"},
					{Name: "Phase", Type: "string", JSONPath: ".status.phase", Description: "Where the workspace stands in its life"},
					{Name: "URL", Type: "string", JSONPath: ".spec.URL", Description: "Address of the workspace"},
					age,
				},
			}),
			ours("v1alpha1", Row{
				Resource: "workspacetypes", Singular: "workspacetype", ShortNames: []string{"wst"}, Object: &tenancyv1alpha1.WorkspaceType{}, List: &tenancyv1alpha1.WorkspaceTypeList{},
				Serving: WhereBound, Export: tenancyv1alpha1.GroupName,
				Columns: columns{
					age,
					condition("Ready", "Ready", "Whether workspaces of the type can be created"),
					{Name: "Initializer", Type: "boolean", JSONPath: ".spec.initializer", Description: "Whether new workspaces wait for an initializer of the type"},
					{Name: "Default Child", Type: "string", JSONPath: ".spec.defaultChildWorkspaceType.name", Description: "Type of children that name no type"},
					{Name: "URL", Type: "string", Priority: 1, JSONPath: `.status.virtualWorkspaces[?(@.type=="initializing")].url`, Description: "Where initializers find the workspaces that wait for them"},
				},
			}),
			ours("v1alpha1", Row{
				Resource: "workspaceauthenticationconfigurations", Singular: "workspaceauthenticationconfiguration",
				Object: &tenancyv1alpha1.WorkspaceAuthenticationConfiguration{}, List: &tenancyv1alpha1.WorkspaceAuthenticationConfigurationList{},
				Serving: WhereBound, Export: tenancyv1alpha1.GroupName, Status: NoStatus, Columns: columns{age},
			}),
		}},
		{Name: topologyv1alpha1.GroupName, Register: adders{topologyv1alpha1.AddToScheme, topologyv1alpha1.RegisterDefaults}, Host: true, Rows: []Row{
			ours("v1alpha1", Row{
				Resource: "partitions", Singular: "partition", Object: &topologyv1alpha1.Partition{}, List: &topologyv1alpha1.PartitionList{},
				Serving: WhereBound, Export: topologyv1alpha1.GroupName, Status: NoStatus,
				Columns: columns{
					{Name: "Owner", Type: "string", JSONPath: ".metadata.ownerReferences[0].name", Description: "PartitionSet that made the partition"},
					age,
				},
			}),
			ours("v1alpha1", Row{
				Resource: "partitionsets", Singular: "partitionset", Object: &topologyv1alpha1.PartitionSet{}, List: &topologyv1alpha1.PartitionSetList{},
				Serving: WhereBound, Export: topologyv1alpha1.GroupName, Status: ByUsers,
				Columns: columns{
					{Name: "Count", Type: "integer", JSONPath: ".status.count", Description: "How many partitions there are"},
					age,
				},
			}),
		}},
		{Name: corev1alpha1.GroupName, Register: adders{corev1alpha1.AddToScheme, corev1alpha1.RegisterDefaults}, Host: true, Rows: []Row{
			ours("v1alpha1", Row{
				Resource: "logicalclusters", Singular: "logicalcluster", Object: &corev1alpha1.LogicalCluster{}, List: &corev1alpha1.LogicalClusterList{},
				Serving: Everywhere,
				Columns: columns{
					{Name: "Phase", Type: "string", JSONPath: ".status.phase", Description: "Where the logical cluster stands in its life"},
					{Name: "URL", Type: "string", JSONPath: ".status.URL", Description: "Address of the logical cluster"},
					age,
				},
			}),
			ours("v1alpha1", Row{
				Resource: "shards", Singular: "shard", Object: &corev1alpha1.Shard{}, List: &corev1alpha1.ShardList{},
				Serving: WhereBound, Export: ShardsExport, Status: ByUsers,
				Columns: columns{
					{Name: "Region", Type: "string", JSONPath: ".metadata.labels['region']", Description: "Region of the shard"},
					{Name: "URL", Type: "string", JSONPath: ".spec.baseURL", Description: "Address for other shards"},
					{Name: "External URL", Type: "string", JSONPath: ".spec.externalURL", Description: "Address for users"},
					age,
				},
			}),
		}},
		{Name: apisv1alpha2.GroupName, Host: true, Rows: sharingRows(), Register: adders{
			apisv1alpha1.AddToScheme, apisv1alpha1.RegisterDefaults, apisv1alpha1.RegisterConversions,
			apisv1alpha2.AddToScheme, apisv1alpha2.RegisterDefaults,
		}},
		{Name: cachev1alpha1.GroupName, Register: adders{cachev1alpha1.AddToScheme, cachev1alpha1.RegisterDefaults}, Rows: []Row{
			ours("v1alpha1", Row{
				Resource: "clustercachedresources", Singular: "clustercachedresource", Object: &cachev1alpha1.ClusterCachedResource{}, List: &cachev1alpha1.ClusterCachedResourceList{},
				Serving: Everywhere,
				Columns: columns{
					{Name: "Resource", Type: "string", JSONPath: ".spec.resource", Description: "Resource whose objects others may read"},
					{Name: "Phase", Type: "string", JSONPath: ".status.phase", Description: "Where the object stands in its life"},
					age,
				},
			}),
			ours("v1alpha1", Row{
				Resource: "clustercachedresourceendpointslices", Singular: "clustercachedresourceendpointslice",
				Object: &cachev1alpha1.ClusterCachedResourceEndpointSlice{}, List: &cachev1alpha1.ClusterCachedResourceEndpointSliceList{},
				Serving: Everywhere,
				Columns: columns{
					{Name: "ClusterCachedResource", Type: "string", JSONPath: ".spec.clusterCachedResource.name", Description: "ClusterCachedResource whose objects are offered"},
					age,
				},
			}),
		}},
		{Name: annexv1alpha1.GroupName, Register: adders{annexv1alpha1.AddToScheme, annexv1alpha1.RegisterDefaults}, Host: true, Rows: []Row{
			ours("v1alpha1", Row{
				Resource: "hostbindings", Singular: "hostbinding", Object: &annexv1alpha1.HostBinding{}, List: &annexv1alpha1.HostBindingList{},
				Serving: InHostWorkspace,
				Columns: columns{
					{Name: "Ready", Type: "string", JSONPath: `.status.conditions[?(@.type=="Ready")].status`, Description: "Whether the host forwards requests for all of it"},
					{Name: "Export", Type: "string", JSONPath: ".spec.reference.export.name", Description: "APIExport that is projected"},
					{Name: "Workspace", Type: "string", JSONPath: ".spec.workspace.path", Description: "Workspace that a namespace maps to"},
					age,
					{Name: "Authorization", Type: "string", Priority: 1, JSONPath: ".spec.authorization", Description: "Who decides beside the host"},
					{Name: "Reason", Type: "string", Priority: 1, JSONPath: `.status.conditions[?(@.type=="Ready")].reason`, Description: "Why it is not ready"},
				},
			}),
			ours("v1alpha1", Row{
				Resource: "apiexportrollouts", Singular: "apiexportrollout", Object: &annexv1alpha1.APIExportRollout{}, List: &annexv1alpha1.APIExportRolloutList{},
				Serving: Everywhere,
				Columns: columns{
					{Name: "Revision", Type: "integer", JSONPath: ".status.revision", Description: "How often the schemas of the APIExport have changed"},
					{Name: "Phase", Type: "string", JSONPath: ".status.phase", Description: "What the rollout does"},
					{Name: "Wave", Type: "integer", JSONPath: ".status.wave", Description: "Number of the current wave"},
					{Name: "Consumers", Type: "integer", JSONPath: ".status.consumers", Description: "How many consumers have bound the APIExport"},
					{Name: "Updated", Type: "integer", JSONPath: ".status.updated", Description: "How many of them have the new schemas"},
					{Name: "Failed", Type: "integer", JSONPath: ".status.failed", Description: "How many of them have failed"},
					age,
					{Name: "Reason", Type: "string", Priority: 1, JSONPath: `.status.conditions[?(@.type=="Progressing")].reason`, Description: "Why it waits"},
				},
			}),
			ours("v1alpha1", Row{
				Resource: "workspaceaccesses", Singular: "workspaceaccess", ShortNames: []string{"wsa"}, Namespaced: true,
				Object: &annexv1alpha1.WorkspaceAccess{}, List: &annexv1alpha1.WorkspaceAccessList{},
				Serving: Everywhere, HostNamespaces: true,
				Columns: columns{
					condition("Ready", "Ready", "Whether the Secret has valid credentials"),
					{Name: "Workspace", Type: "string", JSONPath: ".spec.workspace.path", Description: "Workspace that the credentials are for"},
					{Name: "Role", Type: "string", JSONPath: ".spec.role.clusterRole", Description: "ClusterRole that the credentials have there"},
					{Name: "Format", Type: "string", JSONPath: ".spec.format", Description: "What the Secret contains"},
					{Name: "Secret", Type: "string", JSONPath: ".status.secretName", Description: "Secret with the credentials"},
					age,
					{Name: "Reason", Type: "string", Priority: 1, JSONPath: `.status.conditions[?(@.type=="Ready")].reason`, Description: "Why it is not ready"},
					{Name: "Expires", Type: "date", Priority: 1, JSONPath: ".status.expirationTime", Description: "When the token expires, which is renewed before"},
				},
			}),
			ours("v1alpha1", Row{
				Resource: "apichangereports", Singular: "apichangereport", Object: &annexv1alpha1.APIChangeReport{}, List: &annexv1alpha1.APIChangeReportList{},
				Serving: Everywhere,
				Columns: columns{
					{Name: "Export", Type: "string", JSONPath: ".spec.export", Description: "APIExport that would change"},
					{Name: "Phase", Type: "string", JSONPath: ".status.phase", Description: "How far the report is"},
					{Name: "Consumers", Type: "integer", JSONPath: ".status.consumers.checked", Description: "How many consumers have been checked"},
					{Name: "Of", Type: "integer", JSONPath: ".status.consumers.total", Description: "How many consumers there are"},
					{Name: "Breaking", Type: "integer", JSONPath: ".status.breakingChanges", Description: "How many changes can break clients or objects"},
					{Name: "Invalid", Type: "integer", JSONPath: ".status.objects.invalid", Description: "How many objects would be invalid"},
					age,
				},
			}),
			ours("v1alpha1", Row{
				Resource: "apistoragemigrations", Singular: "apistoragemigration", Object: &annexv1alpha1.APIStorageMigration{}, List: &annexv1alpha1.APIStorageMigrationList{},
				Serving: Everywhere,
				Columns: columns{
					{Name: "Resource", Type: "string", JSONPath: ".spec.resource", Description: "Resource whose objects are rewritten"},
					{Name: "Version", Type: "string", JSONPath: ".status.version", Description: "Version in which objects are stored now"},
					{Name: "Phase", Type: "string", JSONPath: ".status.phase", Description: "How far the migration is"},
					{Name: "Consumers", Type: "integer", JSONPath: ".status.consumers.migrated", Description: "How many workspaces store all objects in that version"},
					{Name: "Of", Type: "integer", JSONPath: ".status.consumers.total", Description: "How many workspaces there are"},
					{Name: "Rewritten", Type: "integer", JSONPath: ".status.objects.rewritten", Description: "How many objects are rewritten"},
					{Name: "Failed", Type: "integer", JSONPath: ".status.objects.failed", Description: "How many objects could not be rewritten"},
					age,
					{Name: "Reason", Type: "string", Priority: 1, JSONPath: `.status.conditions[?(@.type=="Complete")].reason`, Description: "Why it is not complete"},
				},
			}),
			workspaceClassRow(),
			workspaceClaimRow(),
			review(Row{Resource: "accessexplanations", Singular: "accessexplanation", Object: &annexv1alpha1.AccessExplanation{}}),
			review(Row{Resource: "whocanreviews", Singular: "whocanreview", Object: &annexv1alpha1.WhoCanReview{}}),
		}},
	}
}

func sharingRows() []Row {
	schemas := ours("v1alpha1", Row{
		Resource: "apiresourceschemas", Singular: "apiresourceschema", Object: &apisv1alpha1.APIResourceSchema{}, List: &apisv1alpha1.APIResourceSchemaList{},
		Serving: Everywhere, Status: NoStatus, Columns: columns{age},
	})
	conversions := ours("v1alpha1", Row{
		Resource: "apiconversions", Singular: "apiconversion", Object: &apisv1alpha1.APIConversion{}, List: &apisv1alpha1.APIConversionList{},
		Serving: Everywhere, Status: NoStatus, Columns: columns{age},
	})
	slices := ours("v1alpha1", Row{
		Resource: "apiexportendpointslices", Singular: "apiexportendpointslice", Object: &apisv1alpha1.APIExportEndpointSlice{}, List: &apisv1alpha1.APIExportEndpointSliceList{},
		Serving: Everywhere, Status: ByUsers,
		Columns: columns{
			{Name: "Export", Type: "string", JSONPath: ".spec.export.name", Description: "Name of the APIExport"},
			{Name: "Partition", Type: "string", JSONPath: ".spec.partition", Description: "Partition that limits the shards"},
			age,
			condition("Valid", string(apisv1alpha1.APIExportValid), "Whether the APIExport exists"),
			{Name: "URL", Type: "string", JSONPath: ".status.endpoints[0].url", Description: "Address of the endpoint; empty while nobody binds the APIExport"},
		},
	})
	exports := ours("v1alpha2", Row{
		Resource: "apiexports", Singular: "apiexport", Object: &apisv1alpha2.APIExport{}, List: &apisv1alpha2.APIExportList{},
		Serving: Everywhere,
		Columns: columns{
			age,
			condition("Identity", string(apisv1alpha2.APIExportIdentityValid), "Whether the identity is valid"),
			condition("Schemas", string(apisv1alpha2.APIExportSchemasValid), "Whether all schemas exist"),
			{Name: "Consumers", Type: "integer", JSONPath: ".status.consumers.bound", Description: "How many workspaces have bound the export"},
			{Name: "Behind", Type: "integer", JSONPath: ".status.consumers.behind", Description: "How many of them could not follow its last change"},
			{Name: "Pending", Type: "integer", Priority: 1, JSONPath: ".status.consumers.pending", Description: "How many APIBindings could not bind it yet"},
			{Name: "Identity Hash", Type: "string", Priority: 1, JSONPath: ".status.identityHash", Description: "Identity of the export"},
		},
	})
	bindings := ours("v1alpha2", Row{
		Resource: "apibindings", Singular: "apibinding", Object: &apisv1alpha2.APIBinding{}, List: &apisv1alpha2.APIBindingList{},
		Serving: Everywhere,
		Columns: columns{
			age,
			condition("Ready", "Ready", "Whether the resources are bound"),
			{Name: "Export", Type: "string", JSONPath: ".spec.reference.export.name", Description: "APIExport that is bound"},
			{Name: "Path", Type: "string", JSONPath: ".spec.reference.export.path", Description: "Workspace of the APIExport"},
			condition("Up To Date", string(apisv1alpha2.BindingUpToDate), "Whether the resources are bound as the APIExport offers them now"),
			{Name: "Claims", Type: "string", Priority: 1, JSONPath: `.status.conditions[?(@.type=="PermissionClaimsValid")].status`, Description: "Whether the permission claims are answered"},
			{Name: "Reason", Type: "string", Priority: 1, JSONPath: `.status.conditions[?(@.type=="BindingUpToDate")].reason`, Description: "Why the binding is not up to date"},
		},
	})
	// Served in the older version too, and converted.
	exports.Versions = append(exports.Versions, "v1alpha1")
	bindings.Versions = append(bindings.Versions, "v1alpha1")
	return []Row{schemas, conversions, slices, exports, bindings}
}

// review completes the row of a kind of ours that is answered when it is created, and not stored. Every workspace serves it.
func review(r Row) Row {
	r.Versions, r.Serving, r.Status = []string{"v1alpha1"}, Everywhere, NoStatus
	return r
}

// ours completes the row of a kind of ours, which is stored as JSON. kubectl get kcp lists it.
func ours(version string, r Row) Row {
	r.Versions, r.MediaType, r.Categories = []string{version}, runtime.ContentTypeJSON, []string{"kcp"}
	return r
}
