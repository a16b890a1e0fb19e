package corekcp

import (
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/core/validation"
	"github.com/annex-dev/annex/registry/kinds"
)

func shardKind() *kinds.Kind[corev1alpha1.Shard, *corev1alpha1.Shard] {
	return &kinds.Kind[corev1alpha1.Shard, *corev1alpha1.Shard]{
		ValidateCreate:       validation.ValidateShard,
		ValidateUpdate:       validation.ValidateShardUpdate,
		ValidateStatusUpdate: validation.ValidateShardStatusUpdate,
	}
}
