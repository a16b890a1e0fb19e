package corekcp

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/core/validation"
	"github.com/annex-dev/annex/registry/kind"
)

// ShardColumns returns what kubectl get shards shows after the name.
func ShardColumns() []apiextensionsv1.CustomResourceColumnDefinition {
	return []apiextensionsv1.CustomResourceColumnDefinition{
		{Name: "Region", Type: "string", JSONPath: ".metadata.labels['region']", Description: "Region of the shard"},
		{Name: "URL", Type: "string", JSONPath: ".spec.baseURL", Description: "Address for other shards"},
		{Name: "External URL", Type: "string", JSONPath: ".spec.externalURL", Description: "Address for users"},
		{Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"},
	}
}

func shardKind() *kind.Kind[corev1alpha1.Shard, *corev1alpha1.Shard] {
	return &kind.Kind[corev1alpha1.Shard, *corev1alpha1.Shard]{
		Version:    corev1alpha1.SchemeGroupVersion.Version,
		Resource:   corev1alpha1.Resource("shards"),
		Singular:   "shard",
		List:       func() runtime.Object { return &corev1alpha1.ShardList{} },
		Columns:    ShardColumns(),
		Spec:       func(shard *corev1alpha1.Shard) any { return &shard.Spec },
		CopyStatus: func(to, from *corev1alpha1.Shard) { to.Status = *from.Status.DeepCopy() },
		// The addresses that were left out are those of baseURL, for writes that did not pass the defaults of the decoder too.
		Prepare:              func(shard, _ *corev1alpha1.Shard) { corev1alpha1.SetDefaults_ShardSpec(&shard.Spec) },
		Validate:             validation.ValidateShard,
		ValidateUpdate:       validation.ValidateShardUpdate,
		ValidateStatusUpdate: validation.ValidateShardStatusUpdate,
	}
}
