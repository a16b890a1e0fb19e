package etcd

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// leaderAttempts is how many members are asked when one after the other knows no leader.
const leaderAttempts = 3

// requireLeader has a member that is cut off from the others refuse at once, where it would otherwise hold a request until it
// times out, and asks the next one. That is safe for writes, too: what was refused so was not even proposed.
func requireLeader(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	ctx = clientv3.WithRequireLeader(ctx)
	for attempt := 1; ; attempt++ {
		err := invoke(ctx, method, request, reply, conn, options...)
		if attempt == leaderAttempts || ctx.Err() != nil || !errors.Is(rpctypes.Error(err), rpctypes.ErrNoLeader) {
			return err
		}
	}
}
