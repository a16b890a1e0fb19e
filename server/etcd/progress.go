package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"
)

// askAgain is the time after which a watch is asked for its progress again. etcd does not answer while a watch has to catch up, which
// takes it up to 100 ms.
const askAgain = 20 * time.Millisecond

// checkWatch looks whether the store opens a watch, and notifies it of its progress when asked. Without that, a watch cache does not
// learn that it has everything, and every consistent list would wait without end. The watch begins at a revision that is there: before
// one that begins later has reached its begin, etcd answers nobody on the same stream. So it also has a stream of its own.
func (p *prober) checkWatch(ctx context.Context, revision int64) error {
	own := metadata.AppendToOutgoingContext(ctx, "source", "probe") // watches share a stream if their metadata are equal
	watching, cancel := context.WithCancel(clientv3.WithRequireLeader(own))
	defer cancel()
	// Watch returns when it is open, or has failed.
	events := p.client.Watch(watching, p.key(0), clientv3.WithCreatedNotify(), clientv3.WithRev(revision))
	enough := time.After(p.patience)
	ticker := time.NewTicker(askAgain)
	defer ticker.Stop()
	for opened := false; ; {
		select {
		case event, more := <-events:
			switch err := event.Err(); {
			case refuses(err) && !opened:
				return p.lack(fmt.Sprintf("it does not open a watch (%s)", rpctypes.ErrorDesc(err)), useEtcd)
			case refuses(err):
				return p.withoutProgress()
			case err != nil:
				return fmt.Errorf("trying a watch: %w", err)
			case !more:
				return errors.New("trying a watch: it has ended")
			case event.IsProgressNotify():
				return nil
			}
			opened = true
		case <-ticker.C:
		case <-enough:
			// A store that answers nothing else either is only away.
			if _, err := p.client.Get(ctx, p.key(0)); err != nil {
				return fmt.Errorf("reading from etcd: %w", err)
			}
			return p.withoutProgress()
		}
		// If that fails, the watch says why.
		_ = p.client.RequestProgress(watching)
	}
}

func (p *prober) withoutProgress() error {
	return p.lack("its watches do not notify of progress when asked", useEtcd)
}
