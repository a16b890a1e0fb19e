package etcd

import (
	"context"
	"errors"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

func TestRequireLeader(t *testing.T) {
	other := errors.New("something else")
	for name, tc := range map[string]struct {
		answers []error
		want    error
		asked   int
	}{
		"a member that knows a leader":     {[]error{nil}, nil, 1},
		"one that is cut off":              {[]error{rpctypes.ErrGRPCNoLeader, nil}, nil, 2},
		"nobody knows one":                 {[]error{rpctypes.ErrGRPCNoLeader, rpctypes.ErrGRPCNoLeader, rpctypes.ErrGRPCNoLeader}, rpctypes.ErrGRPCNoLeader, 3},
		"what may have happened":           {[]error{rpctypes.ErrGRPCLeaderChanged}, rpctypes.ErrGRPCLeaderChanged, 1},
		"a fault that is none of a leader": {[]error{other}, other, 1},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			err := requireLeader(t.Context(), "", nil, nil, nil, func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
				if md, _ := metadata.FromOutgoingContext(ctx); len(md.Get(rpctypes.MetadataRequireLeaderKey)) != 1 {
					t.Errorf("the request does not ask for a leader: %v", md)
				}
				asked++
				return tc.answers[asked-1]
			})
			if !errors.Is(err, tc.want) || asked != tc.asked {
				t.Errorf("got %v after %d questions, want %v after %d", err, asked, tc.want, tc.asked)
			}
		})
	}
}
