// A small server of the kind one would write without Relais: gRPC and pgx, one transaction a
// request, one prepared statement after another. It takes CaptureLead requests and does the
// statements that relais_bench gives it, each with the number of the person as its one parameter;
// it checks nothing, computes nothing and answers with the lead it was sent.
//
//	go_peer DSN STATEMENTS.json CONNECTIONS
//
// The first statement looks for the person; the others are done when it finds nobody.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"relais.example/peer/relaisv1"
)

type server struct {
	relaisv1.UnimplementedLeadServiceServer
	pool       *pgxpool.Pool
	statements []string
}

func numberOf(request *relaisv1.CaptureLeadRequest) (int64, error) {
	emails := request.GetLead().GetPerson().GetEmails()
	if len(emails) == 0 {
		return 0, errors.New("no e-mail address")
	}
	digits, _, _ := strings.Cut(strings.TrimPrefix(emails[0].GetAddress(), "person"), "@")
	return strconv.ParseInt(digits, 10, 64)
}

func (s *server) CaptureLead(ctx context.Context, request *relaisv1.CaptureLeadRequest) (*relaisv1.CaptureLeadResponse, error) {
	number, err := numberOf(request)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var lead pgtype.UUID
		err := tx.QueryRow(ctx, s.statements[0], number).Scan(&lead)
		if err == nil {
			return nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		for _, statement := range s.statements[1:] {
			if _, err := tx.Exec(ctx, statement, number); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &relaisv1.CaptureLeadResponse{
		Lead:       request.GetLead(),
		Touchpoint: request.GetTouchpoint(),
		Outcome:    relaisv1.CaptureOutcome_CAPTURE_OUTCOME_CREATED,
	}, nil
}

func run(dsn, statements, connections string) error {
	text, err := os.ReadFile(statements)
	if err != nil {
		return err
	}
	s := &server{}
	if err := json.Unmarshal(text, &s.statements); err != nil {
		return err
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return err
	}
	count, err := strconv.ParseInt(connections, 10, 32)
	if err != nil {
		return err
	}
	config.MaxConns = int32(count)
	config.MinConns = int32(count)
	if s.pool, err = pgxpool.NewWithConfig(context.Background(), config); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	g := grpc.NewServer()
	relaisv1.RegisterLeadServiceServer(g, s)
	return g.Serve(listener)
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: go_peer DSN STATEMENTS.json CONNECTIONS")
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}
