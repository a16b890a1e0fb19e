package lacking

import (
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type kv struct {
	pb.UnimplementedKVServer
	store *Store
	etcd  pb.KVClient
}

// Range implements pb.KVServer.
func (s *kv) Range(ctx context.Context, request *pb.RangeRequest) (*pb.RangeResponse, error) {
	return s.etcd.Range(ctx, request)
}

// Txn implements pb.KVServer.
func (s *kv) Txn(ctx context.Context, request *pb.TxnRequest) (*pb.TxnResponse, error) {
	if s.store.Txn != nil {
		if err := s.store.Txn(request); err != nil {
			return nil, err
		}
	}
	for _, op := range request.Success {
		if op.GetRequestRange() == nil {
			time.Sleep(s.store.Delay)
			break
		}
	}
	return s.etcd.Txn(ctx, request)
}

type watch struct {
	pb.UnimplementedWatchServer
	store *Store
	etcd  pb.WatchClient
}

// Watch implements pb.WatchServer.
func (s *watch) Watch(client grpc.BidiStreamingServer[pb.WatchRequest, pb.WatchResponse]) error {
	if s.store.NoWatch {
		return status.Error(codes.Unimplemented, "unknown service etcdserverpb.Watch")
	}
	etcd, err := s.etcd.Watch(client.Context())
	if err != nil {
		return err
	}
	go func() {
		for {
			request, err := client.Recv()
			if err != nil {
				_ = etcd.CloseSend()
				return
			}
			if s.store.NoProgress && request.GetProgressRequest() != nil {
				continue
			}
			if etcd.Send(request) != nil {
				return
			}
		}
	}()
	for {
		response, err := etcd.Recv()
		if err != nil {
			return err
		}
		if err := client.Send(response); err != nil {
			return err
		}
	}
}

type maintenance struct {
	pb.UnimplementedMaintenanceServer
	store *Store
	etcd  pb.MaintenanceClient
}

// Status implements pb.MaintenanceServer.
func (s *maintenance) Status(ctx context.Context, request *pb.StatusRequest) (*pb.StatusResponse, error) {
	response, err := s.etcd.Status(ctx, request)
	if err != nil || s.store.Status == nil {
		return response, err
	}
	return response, s.store.Status(response)
}
