//! temp
use std::{sync::Arc,time::*,path::Path};
use engine::Call; use tensor::*; use tensorflow::*;
fn rss()->String{std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l|l.starts_with("VmRSS")).unwrap().to_owned()}
fn main(){
 let lib=Library::open(Path::new(&std::env::var("TENSORWIRE_TENSORFLOW_DIR").unwrap())).unwrap();
 let load=|p:&str|Arc::new(load_saved_model(lib,SessionOptions::default(),("m",1),Path::new(p)).unwrap());
 let mlp=load("/tmp/w/tfmodels/mlp/1"); let h=load("/tmp/w/tfmodels/half_plus_two/1"); let st=load("/tmp/w/tfmodels/identity_string/1"); let idf=load("/tmp/w/tfmodels/identity_float/1");
 let f=|dims:&[usize]|{let s=Shape::new(dims).unwrap();let n=s.elements()*4;Tensor::fixed(DType::Float,s,vec![0u8;n].into()).unwrap()};
 let big=Tensor::strings(Shape::new(&[8]).unwrap(),vec![bytes::Bytes::from(vec![1u8;1<<17]);8]).unwrap();
 let lots=Tensor::strings(Shape::new(&[1000]).unwrap(),vec![bytes::Bytes::from_static(b"some text");1000]).unwrap();
 for (name,m,x,n,d) in [("half",&h,f(&[1]),50000,false),("half deadline",&h,f(&[1]),50000,true),("mlp",&mlp,f(&[1,32]),50000,false),("mlp deadline",&mlp,f(&[1,32]),50000,true),("1MiB identity",&idf,f(&[1<<18]),5000,false),("8x128K strings",&st,big,5000,false),("1000 strings",&st,lots,5000,false)]{
  for _ in 0..3 { let t=Instant::now(); let outs=[0usize];
   for _ in 0..n { let d=d.then(||Instant::now()+Duration::from_secs(60)); Call::new(Arc::clone(m),0,vec![x.clone()],outs.to_vec(),d).unwrap().run().unwrap(); }
   println!("{name}: {:.2} us {}",t.elapsed().as_secs_f64()/n as f64*1e6, rss()); }
 }
 for i in 0..200 { drop(load("/tmp/w/tfmodels/big/1")); if i%20==0 {println!("loads {i} {}",rss());} if i>40 {break} }
 for i in 0..1000 { drop(load("/tmp/w/tfmodels/half_plus_two/1")); if i%200==0 {println!("loads {i} {}",rss());} }
}
