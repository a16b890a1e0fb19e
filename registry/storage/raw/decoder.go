package raw

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage/etcd3"
)

// decoder decodes lists with the revision of each object, which tells what it is made from without a look at its bytes.
type decoder struct {
	etcd3.Decoder
	codec Codec
}

// DecodeListItem implements etcd3.Decoder.
func (d decoder) DecodeListItem(_ context.Context, data []byte, revision uint64, _ func() runtime.Object) (runtime.Object, error) {
	item := d.codec.parse(string(data), int64(revision))
	item.revision = revision
	return &item, nil
}
