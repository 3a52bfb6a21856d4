package server

import (
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	deliveryv1 "github.com/opnfv/clover/api/clover/delivery/v1"
	idsv1 "github.com/opnfv/clover/api/clover/ids/v1"
	lbv1 "github.com/opnfv/clover/api/clover/loadbalancer/v1"
	loadtestv1 "github.com/opnfv/clover/api/clover/loadtest/v1"
	v1 "github.com/opnfv/clover/api/clover/visibility/v1"
	"github.com/opnfv/clover/api/collector"
	"github.com/opnfv/clover/api/server/auth"
)

// access is what a call needs.
type access struct {
	auth.Permission
	open bool // needs nothing: nobody is asked who they are
}

// The areas of the API as Kubernetes sees them, in the group
// clover.opnfv.org.
const (
	visibilityResource    = "visibility"
	loadBalancersResource = "loadbalancers"
	idsResource           = "ids"
	providersResource     = "providers"
	pipelinesResource     = "pipelines"
	loadTestsResource     = "loadtests"
)

func areaAccess(resource, verb string) access {
	return access{Permission: auth.Permission{Verb: verb, Resource: resource}}
}

func visibilityAccess(verb string) access { return areaAccess(visibilityResource, verb) }

// What calls need, by REST path beside the API. All other paths need to read
// visibility.
var (
	readAccess    = visibilityAccess(auth.Get)
	metricsAccess = access{Permission: auth.Permission{Verb: auth.Get, Path: "/metrics"}}
	openAccess    = access{open: true}
)

// methodAccess has what each gRPC method needs, also when it is called by
// REST. A method that is not here is refused.
var methodAccess = map[string]access{
	v1.VisibilityService_GetStats_FullMethodName:     readAccess,
	v1.VisibilityService_ListValues_FullMethodName:   readAccess,
	v1.VisibilityService_GetGraph_FullMethodName:     readAccess,
	v1.VisibilityService_GetMovers_FullMethodName:    readAccess,
	v1.VisibilityService_GetHeatmap_FullMethodName:   readAccess,
	v1.VisibilityService_WatchStats_FullMethodName:   readAccess,
	v1.VisibilityService_SearchTraces_FullMethodName: readAccess,
	v1.VisibilityService_GetTrace_FullMethodName:     readAccess,
	v1.VisibilityService_ListMetrics_FullMethodName:  readAccess,
	v1.VisibilityService_GetMetrics_FullMethodName:   readAccess,
	v1.VisibilityService_GetLedger_FullMethodName:    readAccess,
	v1.VisibilityService_GetStatus_FullMethodName:    readAccess,
	v1.VisibilityService_GetSummary_FullMethodName:   readAccess,
	v1.VisibilityService_GetConfig_FullMethodName:    readAccess,
	v1.VisibilityService_ObserveSpans_FullMethodName: readAccess,
	v1.VisibilityService_ExportTraces_FullMethodName: readAccess,

	v1.VisibilityService_UpdateConfig_FullMethodName: visibilityAccess(auth.Update),
	v1.VisibilityService_Import_FullMethodName:       visibilityAccess(auth.Update),
	v1.VisibilityService_Init_FullMethodName:         visibilityAccess(auth.Update),
	v1.VisibilityService_Start_FullMethodName:        visibilityAccess(auth.Update),
	v1.VisibilityService_Stop_FullMethodName:         visibilityAccess(auth.Update),
	v1.VisibilityService_Clear_FullMethodName:        visibilityAccess(auth.Delete),

	lbv1.LoadBalancerService_ListBalancers_FullMethodName: areaAccess(loadBalancersResource, auth.Get),
	lbv1.LoadBalancerService_GetBalancer_FullMethodName:   areaAccess(loadBalancersResource, auth.Get),
	lbv1.LoadBalancerService_ListVersions_FullMethodName:  areaAccess(loadBalancersResource, auth.Get),
	lbv1.LoadBalancerService_SetLB_FullMethodName:         areaAccess(loadBalancersResource, auth.Update),
	lbv1.LoadBalancerService_SetServer_FullMethodName:     areaAccess(loadBalancersResource, auth.Update),
	lbv1.LoadBalancerService_SetProxy_FullMethodName:      areaAccess(loadBalancersResource, auth.Update),
	lbv1.LoadBalancerService_ApplyBalancer_FullMethodName: areaAccess(loadBalancersResource, auth.Update),
	lbv1.LoadBalancerService_UndoBalancer_FullMethodName:  areaAccess(loadBalancersResource, auth.Update),

	idsv1.IdsService_GetEngine_FullMethodName:   areaAccess(idsResource, auth.Get),
	idsv1.IdsService_ListBlocked_FullMethodName: areaAccess(idsResource, auth.Get),
	idsv1.IdsService_AddRule_FullMethodName:     areaAccess(idsResource, auth.Update),
	idsv1.IdsService_StartEngine_FullMethodName: areaAccess(idsResource, auth.Update),
	idsv1.IdsService_StopEngine_FullMethodName:  areaAccess(idsResource, auth.Update),
	idsv1.IdsService_CreateBlock_FullMethodName: areaAccess(idsResource, auth.Update),
	idsv1.IdsService_DeleteBlock_FullMethodName: areaAccess(idsResource, auth.Delete),

	deliveryv1.DeliveryService_ListAccounts_FullMethodName:    areaAccess(providersResource, auth.Get),
	deliveryv1.DeliveryService_GetAccount_FullMethodName:      areaAccess(providersResource, auth.Get),
	deliveryv1.DeliveryService_CreateAccount_FullMethodName:   areaAccess(providersResource, auth.Update),
	deliveryv1.DeliveryService_DeleteAccount_FullMethodName:   areaAccess(providersResource, auth.Delete),
	deliveryv1.DeliveryService_ListPipelines_FullMethodName:   areaAccess(pipelinesResource, auth.Get),
	deliveryv1.DeliveryService_GetPipeline_FullMethodName:     areaAccess(pipelinesResource, auth.Get),
	deliveryv1.DeliveryService_SavePipeline_FullMethodName:    areaAccess(pipelinesResource, auth.Update),
	deliveryv1.DeliveryService_DeletePipeline_FullMethodName:  areaAccess(pipelinesResource, auth.Delete),
	deliveryv1.DeliveryService_StartPipeline_FullMethodName:   areaAccess(pipelinesResource, auth.Update),
	deliveryv1.DeliveryService_ListExecutions_FullMethodName:  areaAccess(pipelinesResource, auth.Get),
	deliveryv1.DeliveryService_GetExecution_FullMethodName:    areaAccess(pipelinesResource, auth.Get),
	deliveryv1.DeliveryService_CancelExecution_FullMethodName: areaAccess(pipelinesResource, auth.Update),

	loadtestv1.LoadTestService_ListPlans_FullMethodName:  areaAccess(loadTestsResource, auth.Get),
	loadtestv1.LoadTestService_GetPlan_FullMethodName:    areaAccess(loadTestsResource, auth.Get),
	loadtestv1.LoadTestService_ListRuns_FullMethodName:   areaAccess(loadTestsResource, auth.Get),
	loadtestv1.LoadTestService_GetRun_FullMethodName:     areaAccess(loadTestsResource, auth.Get),
	loadtestv1.LoadTestService_WatchRun_FullMethodName:   areaAccess(loadTestsResource, auth.Get),
	loadtestv1.LoadTestService_GetResults_FullMethodName: areaAccess(loadTestsResource, auth.Get),
	loadtestv1.LoadTestService_CreatePlan_FullMethodName: areaAccess(loadTestsResource, auth.Update),
	loadtestv1.LoadTestService_StartRun_FullMethodName:   areaAccess(loadTestsResource, auth.Update),
	loadtestv1.LoadTestService_StopRun_FullMethodName:    areaAccess(loadTestsResource, auth.Update),

	collector.Controller_InitVisibility_FullMethodName:     visibilityAccess(auth.Update),
	collector.Controller_StartCollector_FullMethodName:     visibilityAccess(auth.Update),
	collector.Controller_StopCollector_FullMethodName:      visibilityAccess(auth.Update),
	collector.Controller_TruncateVisibility_FullMethodName: visibilityAccess(auth.Delete),

	// Probes of Kubernetes have no token.
	healthpb.Health_Check_FullMethodName: openAccess,
	healthpb.Health_List_FullMethodName:  readAccess,
	healthpb.Health_Watch_FullMethodName: readAccess,

	reflectionpb.ServerReflection_ServerReflectionInfo_FullMethodName:    readAccess,
	reflectionalpha.ServerReflection_ServerReflectionInfo_FullMethodName: readAccess,
}
